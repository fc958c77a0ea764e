"""The mount that vanishes: nothing is removed, it is said once, and the library goes on by itself."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ingest.sync.deletion_guard import FEW
from ingest.sync.root_identity import MARKER
from tagify.model import LibraryState
from tests.support import pictures
from tests.support.ingest_harness import House
from tests.support.ingest_process import COMMAND, process
from tests.support.mounts import Mounts, mount_namespace
from tests.support.ops_pages import Pages
from tests.support.ports import free_ports
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

MANY = [f"{number:03}.jpg" for number in range(FEW + 10)]


def fill(folder: Path, names: list[str] = MANY, seed: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(pictures.jpeg(32, 24, seed=seed + number))


@asynccontextmanager
async def daemon(house: House, mounts: Mounts, log: Path) -> AsyncIterator[Pages]:
    port = free_ports()
    settings = house.settings.model_copy(update={"ingest_port": port})
    async with process(settings, log, mounts.inside(*COMMAND)):
        await until(house.scanned)
        yield Pages.at(port)


async def suspended(house: House, pages: Pages, log: Path, reason: str) -> None:
    """It is told everywhere, once in the log, however often it is looked at."""
    await until(lambda: house.is_(LibraryState.SUSPENDED))
    await house.catalog.libraries.request_rescan(house.library.id)

    async def counted() -> bool:
        return await pages.metric("ingest_libraries_suspended") == 1

    await until(counted)
    await asyncio.sleep(3)  # a look and a half
    assert reason in (await house.state()).scan_error
    assert log.read_text().count("library suspended") == 1


async def back(house: House, pages: Pages, place: Path, *paths: str) -> None:
    """Active by itself, complete, and followed again."""
    await until(lambda: house.is_(LibraryState.ACTIVE))
    fill(place, ["new.jpg"], seed=500)
    await house.holds("new.jpg", *paths)
    await until(lambda: none_suspended(pages))


async def none_suspended(pages: Pages) -> bool:
    return await pages.metric("ingest_libraries_suspended") == 0


async def test_a_bind_mount_that_goes_and_comes_back(house: House, tmp_path: Path) -> None:
    disk, log = tmp_path / "disk", tmp_path / "ingest.log"
    fill(disk)
    async with mount_namespace() as mounts:
        await mounts.bind(disk, house.root)
        async with daemon(house, mounts, log) as pages:
            before = await house.holds(*MANY)
            await mounts.unmount(house.root)
            await suspended(house, pages, log, MARKER)
            assert (await house.images()).keys() == set(MANY)
            await mounts.bind(disk, house.root)
            await back(house, pages, disk, *MANY)
            after = await house.images()
    assert {name: after[name].id for name in MANY} == {name: before[name].id for name in MANY}


@pytest.mark.slow
async def test_another_file_system_over_the_root(house: House, tmp_path: Path) -> None:
    log = tmp_path / "ingest.log"
    fill(house.root)
    async with mount_namespace() as mounts, daemon(house, mounts, log) as pages:
        await house.holds(*MANY)
        await mounts.run("mount", "-t", "tmpfs", "tmpfs", house.root)
        fill(tmp_path / "others", ["other.jpg"], seed=300)
        await mounts.run("cp", tmp_path / "others" / "other.jpg", house.root)
        await suspended(house, pages, log, MARKER)
        assert (await house.images()).keys() == set(MANY)
        await mounts.unmount(house.root)
        await back(house, pages, house.root, *MANY)


@pytest.mark.slow
async def test_a_library_without_a_marker_is_known_by_its_file_system(house: House, tmp_path: Path) -> None:
    log = tmp_path / "ingest.log"
    fill(house.root)
    (house.root / MARKER).mkdir()
    async with mount_namespace() as mounts, daemon(house, mounts, log) as pages:
        await house.holds(*MANY)
        await mounts.run("mount", "-t", "tmpfs", "tmpfs", house.root)
        await mounts.run("mkdir", house.root / "any")
        await suspended(house, pages, log, "another folder or file system")
        await mounts.unmount(house.root)
        await back(house, pages, house.root, *MANY)


@pytest.mark.parametrize("quick", [pytest.param(False, marks=pytest.mark.slow), True])
async def test_a_disk_that_is_unmounted_and_mounted_is_watched_again(
    house: House, tmp_path: Path, quick: bool
) -> None:
    """Also when nobody looked meanwhile: the watches went with the file system."""
    image, log = tmp_path / "disk.img", tmp_path / "ingest.log"
    with image.open("wb") as out:
        out.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    fill(tmp_path / "source")
    mounted = f"mount -o loop '{image}' '{house.root}'"
    async with mount_namespace(as_root=True) as mounts:
        await mounts.run("sh", "-c", f"{mounted} && cp '{tmp_path}'/source/* '{house.root}'")
        async with daemon(house, mounts, log) as pages:
            await house.holds(*MANY)
            if quick:
                await mounts.run("sh", "-c", f"umount '{house.root}' && {mounted}")
            else:
                await mounts.run("umount", house.root)
                await suspended(house, pages, log, MARKER)
                await mounts.run("sh", "-c", mounted)
            await until(lambda: none_suspended(pages))
            for number in range(3):
                await mounts.run("cp", tmp_path / "source" / "000.jpg", house.root / f"new{number}.jpg")
                await house.holds(*MANY, *(f"new{each}.jpg" for each in range(number + 1)))


async def test_a_marker_that_is_removed_and_put_back(house: House, tmp_path: Path) -> None:
    log = tmp_path / "ingest.log"
    fill(house.root)
    async with mount_namespace() as mounts, daemon(house, mounts, log) as pages:
        await house.holds(*MANY)
        (house.root / MARKER).rename(tmp_path / "marker")
        await suspended(house, pages, log, MARKER)
        (tmp_path / "marker").rename(house.root / MARKER)
        await back(house, pages, house.root, *MANY)


async def test_a_root_that_is_emptied_keeps_its_images(house: House, tmp_path: Path) -> None:
    log = tmp_path / "ingest.log"
    fill(house.root)
    async with mount_namespace() as mounts, daemon(house, mounts, log) as pages:
        await house.holds(*MANY)
        for name in MANY:
            (house.root / name).unlink()
        await suspended(house, pages, log, "is empty though it had")
        assert (await house.images()).keys() == set(MANY)
        fill(house.root)
        await back(house, pages, house.root, *MANY)
