"""A file's identity is more than inode, size and mtime: edits in place and reused inodes are noticed."""

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pymongo import MongoClient

from ingest.pipeline import file_reader, importer
from ingest.pipeline.file_reader import FileSnapshot
from tagify import model
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

OLD = (1_000_000_000, 1_000_000_000)


def bmp(colour: str) -> bytes:
    """Pictures of one size in bytes."""
    return pictures.encoded(Image.new("RGB", (40, 30), colour), "BMP")


def write_old(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    os.utime(path, OLD)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each path was read."""
    counts: Counter[str] = Counter()

    def counted(root: str, path: str) -> FileSnapshot:
        counts[path] += 1
        return file_reader.read_file(root, path)

    monkeypatch.setattr(importer, "read_file", counted)
    return counts


async def rescan(harness: IngestHarness) -> None:
    before = (await harness.load_library()).last_scanned
    await harness.catalog.libraries.request_rescan(harness.library.id)

    async def scanned() -> bool:
        return (await harness.load_library()).last_scanned != before and await harness.is_scanned()

    await until(scanned)


async def wait_for_content(harness: IngestHarness, path: str, data: bytes) -> model.Image:
    async def same() -> model.Image | None:
        image = (await harness.images_by_path()).get(path)
        return image if image and image.content == hashlib.sha256(data).hexdigest() else None

    image = await until(same)
    assert image is not None
    return image


@pytest.mark.parametrize("live", [True, False])
async def test_an_edit_that_keeps_size_and_mtime_is_noticed(harness: IngestHarness, live: bool) -> None:
    file = harness.root / "a.bmp"
    write_old(file, bmp("red"))
    async with harness.running_ingest():
        before = (await harness.wait_for_images("a.bmp"))["a.bmp"]
        if live:
            write_old(file, bmp("blue"))
            after = await wait_for_content(harness, "a.bmp", bmp("blue"))
    if not live:
        write_old(file, bmp("blue"))
        async with harness.running_ingest():
            after = await wait_for_content(harness, "a.bmp", bmp("blue"))
    assert after.id == before.id


async def test_a_copy_whose_time_is_set_before_its_end_becomes_complete(harness: IngestHarness) -> None:
    file, data = harness.root / "a.bmp", bmp("red")
    async with harness.running_ingest():
        with file.open("wb", buffering=0) as out:
            out.truncate(len(data))
            out.write(data[: len(data) // 2])
            os.utime(file, OLD)
            await harness.catalog.libraries.request_rescan(harness.library.id)
            await harness.wait_for_images("a.bmp")
            out.write(data[len(data) // 2 :])
            os.utime(file, OLD)
        await wait_for_content(harness, "a.bmp", data)


@pytest.mark.parametrize("live", [True, False])
async def test_a_new_file_with_a_reused_inode_is_no_move(harness: IngestHarness, live: bool) -> None:
    old, new = harness.root / "a.bmp", harness.root / "b.bmp"
    write_old(old, bmp("red"))

    def replace_file() -> None:
        inode = old.stat().st_ino
        old.unlink()
        write_old(new, bmp("blue"))
        if new.stat().st_ino != inode:
            pytest.skip("the file system does not reuse inodes at once")

    async with harness.running_ingest():
        before = (await harness.wait_for_images("a.bmp"))["a.bmp"]
        if live:
            replace_file()
            after = await wait_for_content(harness, "b.bmp", bmp("blue"))
    if not live:
        replace_file()
        async with harness.running_ingest():
            after = await wait_for_content(harness, "b.bmp", bmp("blue"))
    assert after.id != before.id


async def test_changed_permissions_update_the_facts_alone(
    harness: IngestHarness, reads: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (harness.root / f"{number}.jpg").write_bytes(pictures.jpeg(seed=number))
    async with harness.running_ingest():
        before = await harness.wait_for_images(*(f"{number}.jpg" for number in range(5)))
        reads.clear()
        monkeypatch.setattr(importer.Importer, "_decode", None)
        for number in range(5):
            (harness.root / f"{number}.jpg").chmod(0o600)
        await rescan(harness)
        after = await harness.images_by_path()
        assert reads == {f"{number}.jpg": 1 for number in range(5)}
        await rescan(harness)
        assert reads.total() == 5
    assert {image.id: image.updated_at for image in after.values()} == {
        image.id: image.updated_at for image in before.values()
    }
    assert after["0.jpg"].file.ctime_ns == (harness.root / "0.jpg").stat().st_ctime_ns


async def test_moves_are_not_read_when_found(harness: IngestHarness, reads: Counter[str]) -> None:
    """A folder's rename reads nothing, ever; a file's rename is verified by the next scan."""
    (harness.root / "old").mkdir()
    for number in range(20):
        (harness.root / "old" / f"{number}.jpg").write_bytes(pictures.jpeg(32, 24, seed=number))
    async with harness.running_ingest():
        before = await harness.wait_for_images(*(f"old/{number}.jpg" for number in range(20)))
        reads.clear()
        (harness.root / "old").rename(harness.root / "new")
        await harness.wait_for_images(*(f"new/{number}.jpg" for number in range(20)))
        await rescan(harness)
        assert not reads
        (harness.root / "new" / "0.jpg").rename(harness.root / "new" / "moved.jpg")
        after = await harness.wait_for_images(
            "new/moved.jpg", *(f"new/{number}.jpg" for number in range(1, 20))
        )
        await rescan(harness)
        assert reads.total() <= 1
    assert after["new/moved.jpg"].id == before["old/0.jpg"].id


async def test_a_file_that_is_renamed_and_edited_at_once_has_its_new_bytes(harness: IngestHarness) -> None:
    write_old(harness.root / "a.bmp", bmp("red"))
    async with harness.running_ingest():
        before = (await harness.wait_for_images("a.bmp"))["a.bmp"]
    (harness.root / "a.bmp").rename(harness.root / "b.bmp")
    write_old(harness.root / "b.bmp", bmp("blue"))
    async with harness.running_ingest():
        await harness.wait_for_images("b.bmp")
        await rescan(harness)
        after = await wait_for_content(harness, "b.bmp", bmp("blue"))
    assert after.id == before.id


async def test_a_catalog_without_ctimes_gets_them_without_reading_files(
    harness: IngestHarness, reads: Counter[str]
) -> None:
    names = [f"{number}.jpg" for number in range(5)]
    for number, name in enumerate(names):
        (harness.root / name).write_bytes(pictures.jpeg(32, 24, seed=number))
    async with harness.running_ingest():
        await harness.wait_for_images(*names)
    with MongoClient[dict[str, Any]](harness.settings.mongo_uri.get_secret_value()) as client:
        client[harness.settings.mongo_database].images.update_many({}, {"$unset": {"ctime_ns": 1}})
    reads.clear()
    async with harness.running_ingest():
        await rescan(harness)
        images = await harness.images_by_path()
    assert not reads
    for name in names:
        assert images[name].file.ctime_ns == (harness.root / name).stat().st_ctime_ns
