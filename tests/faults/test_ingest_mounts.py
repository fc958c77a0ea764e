"""A lost mount: no image is deleted, it is logged once, and the library resumes by itself."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ingest.sync.deletion_guard import ALWAYS_ALLOWED
from ingest.sync.root_identity import MARKER
from tagify.model import LibraryState
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.ingest_process import COMMAND, process
from tests.support.mounts import MountNamespace, mount_namespace
from tests.support.ops_pages import OpsPages
from tests.support.ports import free_ports
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

MANY = [f"{number:03}.jpg" for number in range(ALWAYS_ALLOWED + 10)]


def fill(folder: Path, names: list[str] = MANY, seed: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(pictures.jpeg(32, 24, seed=seed + number))


@asynccontextmanager
async def daemon(harness: IngestHarness, mounts: MountNamespace, log: Path) -> AsyncIterator[OpsPages]:
    async with daemon_process(harness, mounts, log) as (pages, _):
        yield pages


@asynccontextmanager
async def daemon_process(
    harness: IngestHarness, mounts: MountNamespace, log: Path
) -> AsyncIterator[tuple[OpsPages, asyncio.subprocess.Process]]:
    port = free_ports()
    settings = harness.settings.model_copy(update={"ingest_port": port})
    async with process(settings, log, mounts.command_inside(*COMMAND)) as started:
        await until(harness.is_scanned)
        yield OpsPages.for_port(port), started


async def check_suspended(harness: IngestHarness, pages: OpsPages, log: Path, reason: str) -> None:
    """The suspension is visible in catalog and metrics, and in the log once."""
    await until(lambda: harness.has_state(LibraryState.SUSPENDED))
    await harness.catalog.libraries.request_rescan(harness.library.id)

    async def is_counted() -> bool:
        return await pages.metric("ingest_libraries_suspended") == 1

    await until(is_counted)
    await asyncio.sleep(3)  # one and a half checks of the root
    assert reason in (await harness.load_library()).scan_error
    assert log.read_text().count("library suspended") == 1


async def check_resumed(harness: IngestHarness, pages: OpsPages, folder: Path, *paths: str) -> None:
    """Wait until the library is active, complete and followed again."""
    await until(lambda: harness.has_state(LibraryState.ACTIVE))
    fill(folder, ["new.jpg"], seed=500)
    await harness.wait_for_images("new.jpg", *paths)
    await until(lambda: none_suspended(pages))


async def none_suspended(pages: OpsPages) -> bool:
    return await pages.metric("ingest_libraries_suspended") == 0


async def test_a_bind_mount_that_is_removed_and_restored(harness: IngestHarness, tmp_path: Path) -> None:
    disk, log = tmp_path / "disk", tmp_path / "ingest.log"
    fill(disk)
    async with mount_namespace() as mounts:
        await mounts.bind(disk, harness.root)
        async with daemon(harness, mounts, log) as pages:
            before = await harness.wait_for_images(*MANY)
            await mounts.unmount(harness.root)
            await check_suspended(harness, pages, log, MARKER)
            assert (await harness.images_by_path()).keys() == set(MANY)
            await mounts.bind(disk, harness.root)
            await check_resumed(harness, pages, disk, *MANY)
            after = await harness.images_by_path()
    assert {name: after[name].id for name in MANY} == {name: before[name].id for name in MANY}


@pytest.mark.slow
async def test_another_file_system_over_the_root(harness: IngestHarness, tmp_path: Path) -> None:
    log = tmp_path / "ingest.log"
    fill(harness.root)
    async with mount_namespace() as mounts, daemon(harness, mounts, log) as pages:
        await harness.wait_for_images(*MANY)
        await mounts.run("mount", "-t", "tmpfs", "tmpfs", harness.root)
        fill(tmp_path / "others", ["other.jpg"], seed=300)
        await mounts.run("cp", tmp_path / "others" / "other.jpg", harness.root)
        await check_suspended(harness, pages, log, MARKER)
        assert (await harness.images_by_path()).keys() == set(MANY)
        await mounts.unmount(harness.root)
        await check_resumed(harness, pages, harness.root, *MANY)


@pytest.mark.slow
async def test_a_library_without_a_marker_is_identified_by_its_file_system(
    harness: IngestHarness, tmp_path: Path
) -> None:
    log = tmp_path / "ingest.log"
    fill(harness.root)
    (harness.root / MARKER).mkdir()
    async with mount_namespace() as mounts, daemon(harness, mounts, log) as pages:
        await harness.wait_for_images(*MANY)
        await mounts.run("mount", "-t", "tmpfs", "tmpfs", harness.root)
        await mounts.run("mkdir", harness.root / "any")
        await check_suspended(harness, pages, log, "another folder or file system")
        await mounts.unmount(harness.root)
        await check_resumed(harness, pages, harness.root, *MANY)


@pytest.mark.parametrize("quick", [pytest.param(False, marks=pytest.mark.slow), True])
async def test_a_disk_that_is_unmounted_and_mounted_is_watched_again(
    harness: IngestHarness, tmp_path: Path, quick: bool
) -> None:
    """Also between two checks of the root: the unmount has removed the watches."""
    image, log = tmp_path / "disk.img", tmp_path / "ingest.log"
    with image.open("wb") as out:
        out.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    fill(tmp_path / "source")
    mounted = f"mount -o loop '{image}' '{harness.root}'"
    async with mount_namespace(as_root=True) as mounts:
        await mounts.run("sh", "-c", f"{mounted} && cp '{tmp_path}'/source/* '{harness.root}'")
        async with daemon(harness, mounts, log) as pages:
            await harness.wait_for_images(*MANY)
            if quick:
                await mounts.run("sh", "-c", f"umount '{harness.root}' && {mounted}")
            else:
                await mounts.run("umount", harness.root)
                await check_suspended(harness, pages, log, MARKER)
                await mounts.run("sh", "-c", mounted)
            await until(lambda: none_suspended(pages))
            for number in range(3):
                await mounts.run("cp", tmp_path / "source" / "000.jpg", harness.root / f"new{number}.jpg")
                await harness.wait_for_images(*MANY, *(f"new{each}.jpg" for each in range(number + 1)))


async def test_a_marker_that_is_removed_and_restored(harness: IngestHarness, tmp_path: Path) -> None:
    log = tmp_path / "ingest.log"
    fill(harness.root)
    async with mount_namespace() as mounts, daemon(harness, mounts, log) as pages:
        await harness.wait_for_images(*MANY)
        (harness.root / MARKER).rename(tmp_path / "marker")
        await check_suspended(harness, pages, log, MARKER)
        (tmp_path / "marker").rename(harness.root / MARKER)
        await check_resumed(harness, pages, harness.root, *MANY)


async def test_an_emptied_root_keeps_its_images(harness: IngestHarness, tmp_path: Path) -> None:
    log = tmp_path / "ingest.log"
    fill(harness.root)
    async with mount_namespace() as mounts, daemon_process(harness, mounts, log) as (pages, started):
        await harness.wait_for_images(*MANY)
        started.send_signal(signal.SIGSTOP)  # else it may see the first deletions before the last
        for name in MANY:
            (harness.root / name).unlink()
        started.send_signal(signal.SIGCONT)
        await check_suspended(harness, pages, log, "is empty though it had")
        assert (await harness.images_by_path()).keys() == set(MANY)
        fill(harness.root)
        await check_resumed(harness, pages, harness.root, *MANY)
