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
from tests.support.ports import free_ports


async def import_once(harness: IngestHarness, folder: Path) -> tuple[int | None, str]:
    command = (sys.executable, "-m", "tagify.cli.main", "ingest", "--once", str(folder))
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(harness.settings), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        _, output = await process.communicate()
    return process.returncode, output.decode()


async def test_a_folder_is_imported_and_failed_files_are_listed(
    harness: IngestHarness, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jpg").write_bytes(pictures.jpeg())
    assert (await import_once(harness, other))[0] == 0
    (other / "bad.jpg").write_bytes(b"no picture")
    (other / "b.jpg").write_bytes(pictures.jpeg(seed=2))
    (harness.root / "c.jpg").write_bytes(pictures.jpeg(seed=3))
    status, output = await import_once(harness, other)
    assert status == 1
    assert "2 images in other, 1 of them new" in output
    assert "bad.jpg: the file is not in a supported image format" in output
    assert await harness.images_by_path() == {}
    names = [library.name for library in await harness.catalog.libraries.list_all()]
    assert names == ["Test", "other"]


async def test_an_error_is_one_line(harness: IngestHarness, tmp_path: Path) -> None:
    status, output = await import_once(harness, tmp_path / "nowhere")
    assert (status, output.count("\n"), "is not a folder" in output) == (1, 1, True)
    status, output = await import_once(harness, tmp_path)
    assert (status, output.count("\n"), "contains the library at" in output) == (1, 1, True)


async def test_an_import_without_mongodb_says_that_it_waits(harness: IngestHarness, tmp_path: Path) -> None:
    variables = environment(harness.settings) | {
        "TAGIFY_MONGO_URI": f"mongodb://127.0.0.1:{free_ports()}/?directConnection=true",
        "TAGIFY_MONGO_TIMEOUT_S": "0.5",
    }
    command = (sys.executable, "-m", "tagify.cli.main", "ingest", "--once", str(tmp_path))
    process = await asyncio.create_subprocess_exec(*command, env=variables, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    async with asyncio.timeout(15):
        line = (await process.stderr.readline()).decode()
    process.kill()
    await process.wait()
    assert line.startswith("waiting for MongoDB: ")


@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_a_terminal_shows_a_progress_bar_with_rate_and_time_left(
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
    output = await asyncio.to_thread(read_all, ours)
    assert await process.wait() == 0
    bars = re.findall(r"importing, (\d+) images/s, (\d+) s left \[(█*) *\] (\d+) of 150", output)
    assert bars, output
    assert sorted(int(done) for *_, done in bars) == [int(done) for *_, done in bars]
    assert any(int(rate) > 0 and 0 < len(bar) < 24 for rate, _, bar, _ in bars), output
    assert "150 images in other, 150 of them new" in output


def read_all(terminal: int) -> str:
    """The output of a terminal until its last writer has closed it."""
    output = b""
    with open(terminal, "rb", buffering=0) as stream:
        while True:
            try:
                data = stream.read(4096)
            except OSError:  # reading a terminal without a writer fails with EIO
                return output.decode()
            if not data:
                return output.decode()
            output += data
