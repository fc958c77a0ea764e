"""`tagify ingest --once`: one import, its summary and its exit status."""

import asyncio
import os
import pty
import re
import sys
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.ingest_process import environment


async def ran(harness: IngestHarness, folder: Path) -> tuple[int | None, str]:
    command = (sys.executable, "-m", "tagify.cli.main", "ingest", "--once", str(folder))
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(harness.settings), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_a_folder_is_imported_and_what_failed_is_named(harness: IngestHarness, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jpg").write_bytes(pictures.jpeg())
    assert (await ran(harness, other))[0] == 0
    (other / "bad.jpg").write_bytes(b"no picture")
    (other / "b.jpg").write_bytes(pictures.jpeg(seed=2))
    (harness.root / "c.jpg").write_bytes(pictures.jpeg(seed=3))
    status, said = await ran(harness, other)
    assert status == 1
    assert "2 images in other, 1 of them new" in said
    assert "bad.jpg: it is not in a supported image format" in said
    assert await harness.images_by_path() == {}
    names = [library.name for library in await harness.catalog.libraries.list_all()]
    assert names == ["Test", "other"]


async def test_mistakes_are_one_line(harness: IngestHarness, tmp_path: Path) -> None:
    status, said = await ran(harness, tmp_path / "nowhere")
    assert (status, said.count("\n"), "is no folder" in said) == (1, 1, True)
    status, said = await ran(harness, tmp_path)
    assert (status, said.count("\n"), "lies in" in said) == (1, 1, True)


@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_a_terminal_sees_how_fast_it_goes_and_how_long_it_takes(
    harness: IngestHarness, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for number in range(150):
        (other / f"{number}.jpg").write_bytes(pictures.jpeg(600, 400, seed=number))
    ours, theirs = pty.openpty()
    command = (sys.executable, "-m", "tagify.cli.main", "ingest", "--once", str(other))
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(harness.settings), stderr=theirs, stdout=theirs
    )
    os.close(theirs)
    said = await asyncio.to_thread(read_all, ours)
    assert await process.wait() == 0
    bars = re.findall(r"importing, (\d+) images/s, (\d+) s left \[(█*) *\] (\d+) of 150", said)
    assert bars, said
    assert sorted(int(done) for *_, done in bars) == [int(done) for *_, done in bars]
    assert any(int(rate) > 0 and 0 < len(bar) < 24 for rate, _, bar, _ in bars), said
    assert "150 images in other, 150 of them new" in said


def read_all(terminal: int) -> str:
    """What is written to it until its last writer has left."""
    said = b""
    with open(terminal, "rb", buffering=0) as stream:
        while True:
            try:
                data = stream.read(4096)
            except OSError:  # a terminal that nobody holds any more answers EIO
                return said.decode()
            if not data:
                return said.decode()
            said += data
