"""File systems that hang: they suspend their libraries, and hold up neither others nor the end of ingest."""

import asyncio
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from ingest.sync.root_identity import MARKER
from tagify.model import LibraryState
from tests.support import pictures
from tests.support.failing_disk import FailingDisk, failing_disk
from tests.support.ingest_harness import IngestHarness
from tests.support.ingest_process import environment, process
from tests.support.waiting import until

pytestmark = [pytest.mark.parametrize("s3", ["minio"], indirect=True), pytest.mark.slow]

HUNG = 4
FILES = ("a.jpg", "b.jpg")


class HungLibrary(IngestHarness):
    """A library on a file system that can be frozen. `folder` has its files, and never hangs."""

    disk: FailingDisk
    folder: Path


@pytest.fixture
async def hung(harness: IngestHarness, tmp_path: Path) -> AsyncIterator[list[HungLibrary]]:
    """Libraries on file systems of their own."""
    harness.settings = harness.settings.model_copy(update={"ingest_root_check_s": 1.0})
    async with AsyncExitStack() as mounts:
        yield [await mount_library(harness, tmp_path / f"disk-{number}", mounts) for number in range(HUNG)]


async def mount_library(harness: IngestHarness, base: Path, mounts: AsyncExitStack) -> HungLibrary:
    folder, mount = base / "folder", base / "mount"
    folder.mkdir(parents=True)
    mount.mkdir()
    write(folder, *FILES)
    disk = await mounts.enter_async_context(failing_disk(folder, mount, base / "fault"))
    library = await harness.catalog.libraries.create(base.name, str(mount))
    made = HungLibrary(mount, harness.catalog, library, harness.settings)
    made.disk, made.folder = disk, folder
    return made


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(pictures.jpeg(32, 24, seed=hash((folder, name)) % (1 << 20)))


async def all_have_state(libraries: Sequence[IngestHarness], state: LibraryState) -> bool:
    return all([await library.has_state(state) for library in libraries])


def thread_count(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


async def test_libraries_that_hang_do_not_hold_up_another_one(
    harness: IngestHarness, hung: list[HungLibrary], tmp_path: Path
) -> None:
    log = tmp_path / "ingest.log"
    async with process(harness.settings, log) as ingest:
        known = [await library.wait_for_images(*FILES) for library in hung]
        for library in hung:
            await until(library.is_scanned)
            library.disk.freeze()
        write(harness.root, "at-once.jpg")
        await until(lambda: has_images(harness, "at-once.jpg"), timeout_s=5)
        await until(lambda: all_have_state(hung, LibraryState.SUSPENDED))
        assert "does not answer" in (await hung[0].load_library()).scan_error
        threads = thread_count(ingest.pid)
        for number in range(3):
            for library in hung:
                await harness.catalog.libraries.request_rescan(library.library.id)
            write(harness.root, f"later-{number}.jpg")
            names = ("at-once.jpg", *(f"later-{each}.jpg" for each in range(number + 1)))
            await until(partial(has_images, harness, *names), timeout_s=5)
            await asyncio.sleep(1.2)  # more than a deadline
        assert thread_count(ingest.pid) <= threads + 2
        for library, images in zip(hung, known, strict=True):
            assert await library.images_by_path() == images
            write(library.folder, "meanwhile.jpg")
            library.disk.thaw()
        await until(lambda: all_have_state(hung, LibraryState.ACTIVE))
        for library in hung:
            await library.wait_for_images(*FILES, "meanwhile.jpg")
            await asyncio.to_thread(write, library.root, "live.jpg")
            await library.wait_for_images(*FILES, "meanwhile.jpg", "live.jpg")
    text = log.read_text()
    assert text.count("library suspended") == HUNG
    assert "background task failed" not in text
    assert "Traceback" not in text


async def has_images(harness: IngestHarness, *names: str) -> bool:
    return (await harness.images_by_path()).keys() == set(names)


async def test_ingest_ends_while_libraries_hang(
    harness: IngestHarness, hung: list[HungLibrary], tmp_path: Path
) -> None:
    async with process(harness.settings, tmp_path / "ingest.log") as ingest:
        for library in hung:
            await library.wait_for_images(*FILES)
            library.disk.freeze()
        await until(lambda: all_have_state(hung, LibraryState.SUSPENDED))
        ingest.terminate()
        async with asyncio.timeout(10):
            assert await ingest.wait() == 0


@pytest.mark.parametrize("is_marked", [False, True])
async def test_import_once_ends_while_libraries_hang(
    harness: IngestHarness, hung: list[HungLibrary], tmp_path: Path, is_marked: bool
) -> None:
    """A folder with the marker of a library whose folder does not answer is neither that one nor another."""
    async with process(harness.settings, tmp_path / "ingest.log"):
        for library in hung:
            await until(library.is_scanned)
    for library in hung:
        library.disk.freeze()
    folder = tmp_path / "healthy"
    folder.mkdir()
    write(folder, *FILES)
    if is_marked:
        shutil.copy(hung[0].folder / MARKER, folder)
    command = (sys.executable, "-m", "ingest", "--once", str(folder))
    ingest = await asyncio.create_subprocess_exec(*command, env=environment(harness.settings), stderr=PIPE)
    try:
        async with asyncio.timeout(25):
            _, stderr = await ingest.communicate()
    finally:
        if ingest.returncode is None:
            ingest.kill()
            await ingest.wait()
    assert ingest.returncode == int(is_marked), stderr.decode()
    assert (f"{hung[0].root} does not answer" in stderr.decode()) == is_marked
