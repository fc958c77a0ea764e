"""`tagify ingest --once`: one import, its summary and its exit status."""

import asyncio
import sys
from pathlib import Path

from tests.support import pictures
from tests.support.daemon import environment
from tests.support.house import House


async def ran(house: House, folder: Path) -> tuple[int | None, str]:
    command = (sys.executable, "-m", "tagify.cli", "ingest", "--once", str(folder))
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(house.settings), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_a_folder_is_imported_and_what_failed_is_named(house: House, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jpg").write_bytes(pictures.jpeg())
    assert (await ran(house, other))[0] == 0
    (other / "bad.jpg").write_bytes(b"no picture")
    (other / "b.jpg").write_bytes(pictures.jpeg(seed=2))
    (house.root / "c.jpg").write_bytes(pictures.jpeg(seed=3))
    status, said = await ran(house, other)
    assert status == 1
    assert "2 images in other, 1 of them new" in said
    assert "bad.jpg: it is in no image format" in said
    assert await house.images() == {}
    names = [library.name for library in await house.catalog.libraries.all()]
    assert names == ["Test", "other"]


async def test_mistakes_are_one_line(house: House, tmp_path: Path) -> None:
    status, said = await ran(house, tmp_path / "nowhere")
    assert (status, said.count("\n"), "is no folder" in said) == (1, 1, True)
    status, said = await ran(house, tmp_path)
    assert (status, said.count("\n"), "lies in" in said) == (1, 1, True)
