"""FIFOs, sockets, devices and symbolic links in a library: none stops the import, none leads out of it."""

import asyncio
import io
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from ingest.sync.root_identity import MARKER
from tagify.model import Bucket, ImageState, LibraryState
from tagify.storage.store import ObjectStore
from tests.integration.test_ingest_once import import_once
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

LARGE = 33 << 20
"""Bytes of a file that is not kept in memory between hash and upload."""


def make_special_files(root: Path) -> None:
    for number in range(4):
        os.mkfifo(root / f"fifo {number}.jpg")
        os.mkfifo(root / f"a{number}.jpg.xmp")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(root)
        server.bind("socket.jpg")
    if os.geteuid() == 0:
        os.mknod(root / "zero.jpg", 0o20600, os.makedev(1, 5))


@pytest.fixture(autouse=True)
def same_working_directory() -> Iterator[None]:
    before = Path.cwd()
    yield
    os.chdir(before)


@pytest.mark.parametrize("live", [False, True])
async def test_special_files_stop_neither_scans_nor_imports(harness: IngestHarness, live: bool) -> None:
    names = [f"a{number}.jpg" for number in range(8)]
    if not live:
        make_special_files(harness.root)
    async with harness.running_ingest():
        if live:
            make_special_files(harness.root)
        for number, name in enumerate(names):
            (harness.root / name).write_bytes(pictures.jpeg(32, 24, seed=number))
        await harness.wait_for_images(*names)
        before = (await harness.load_library()).last_scanned
        await harness.catalog.libraries.request_rescan(harness.library.id)

        async def rescanned() -> bool:
            return (await harness.load_library()).last_scanned != before and await harness.is_scanned()

        await until(rescanned)
        assert (await harness.images_by_path()).keys() == set(names)
        assert not await harness.images_by_path(ImageState.FAILED)


async def test_an_import_of_a_folder_with_special_files_ends(harness: IngestHarness, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    make_special_files(folder)
    (folder / "a1.jpg").write_bytes(pictures.jpeg())
    status, output = await import_once(harness, folder)
    assert status == 0
    assert "1 images in other" in output


@pytest.mark.parametrize("kind", ["fifo", "link", "hard link", "socket"])
async def test_a_special_file_as_marker_is_neither_read_nor_written(
    harness: IngestHarness, tmp_path: Path, kind: str
) -> None:
    secret, marker = tmp_path / "secret", harness.root / MARKER
    secret.write_text("secret\n")
    if kind == "fifo":
        os.mkfifo(marker)
    elif kind == "link":
        marker.symlink_to(secret)
    elif kind == "hard link":
        marker.hardlink_to(secret)
    else:
        with socket.socket(socket.AF_UNIX) as server:
            os.chdir(harness.root)
            server.bind(MARKER)
    (harness.root / "a.jpg").write_bytes(pictures.jpeg())
    async with harness.running_ingest():
        await harness.wait_for_images("a.jpg")
        library = await harness.load_library()
    assert library.state is LibraryState.ACTIVE
    assert library.identity is not None
    assert not library.identity.marked
    assert secret.read_text() == "secret\n"


async def test_a_folder_that_becomes_a_symbolic_link_loses_its_images_and_nothing_below_it_is_read(
    harness: IngestHarness, tmp_path: Path
) -> None:
    outside, folder = tmp_path / "outside", harness.root / "folder"
    outside.mkdir()
    folder.mkdir()
    (folder / "a.jpg").write_bytes(pictures.jpeg(seed=1))
    (harness.root / "b.jpg").write_bytes(pictures.jpeg(seed=2))
    async with harness.running_ingest():
        await harness.wait_for_images("folder/a.jpg", "b.jpg")
        (outside / "a.jpg").write_bytes(pictures.jpeg(seed=3))
        folder.rename(tmp_path / "away")
        folder.symlink_to(outside)
        await harness.wait_for_images("b.jpg")
        (folder / "a.jpg").write_bytes(pictures.jpeg(seed=4))
        (folder / "c.jpg").write_bytes(pictures.jpeg(seed=5))
        await harness.catalog.libraries.request_rescan(harness.library.id)
        await asyncio.sleep(1)
        assert (await harness.images_by_path()).keys() == {"b.jpg"}
        folder.unlink()
        (tmp_path / "away").rename(folder)
        await harness.wait_for_images("folder/a.jpg", "b.jpg")


@contextmanager
def toggled(folder: Path, away: Path, target: Path) -> Iterator[None]:
    """Replace the folder by a link to `target` and back again, in a thread, until the end of the block."""
    stop = threading.Event()

    def toggle() -> None:
        while not stop.wait(0.004):
            folder.rename(away)
            folder.symlink_to(target)
            stop.wait(0.004)
            folder.unlink()
            away.rename(folder)

    thread = threading.Thread(target=toggle)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def test_a_large_file_never_gets_the_thumb_of_another_one(
    harness: IngestHarness, tmp_path: Path, blobs: ObjectStore
) -> None:
    """A folder flips between itself and a link to another one, whose files have the same names and sizes."""
    folder, target = harness.root / "folder", tmp_path / "target"
    for each, colour in ((folder, "red"), (target, "blue")):
        each.mkdir()
        for number in range(6):
            data = pictures.encoded(Image.new("RGB", (600 + number, 400), colour), "JPEG")
            (each / f"{number}.jpg").write_bytes(data.ljust(LARGE, b"\0"))
            os.utime(each / f"{number}.jpg", (1, 1))
    async with harness.running_ingest(scanned=False):
        with toggled(folder, tmp_path / "away", target):
            for _ in range(8):
                await harness.catalog.libraries.request_rescan(harness.library.id)
                await asyncio.sleep(0.5)
        await harness.catalog.libraries.request_rescan(harness.library.id)
        images = await harness.wait_for_images(*(f"folder/{number}.jpg" for number in range(6)))
    for image in images.values():
        assert image.content is not None
        thumb = Image.open(io.BytesIO((await blobs.download(Bucket.THUMBS, image.content)).data))
        red, _, blue = thumb.convert("RGB").getpixel((10, 10))  # type: ignore[misc]
        assert red > 200
        assert blue < 50
