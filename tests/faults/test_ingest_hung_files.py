"""Files whose reads hang, below a root that answers: they hold up neither other files nor other libraries."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest import library_threads
from tagify.model import ImageState
from tests.support import pictures
from tests.support.failing_disk import FailingDisk, failing_disk
from tests.support.ingest_harness import IngestHarness
from tests.support.libraries import second_library
from tests.support.waiting import until

pytestmark = [pytest.mark.parametrize("s3", ["minio"], indirect=True), pytest.mark.slow]

HUNG = tuple(f"hung-{number}.jpg" for number in range(6))


@pytest.fixture
async def disk(harness: IngestHarness, tmp_path: Path) -> AsyncIterator[FailingDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    harness.settings = harness.settings.model_copy(update={"ingest_root_check_s": 0.5})
    async with failing_disk(folder, harness.root, tmp_path / "fault", threads=True) as made:
        yield made


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).write_bytes(pictures.jpeg(64, 48, seed=hash((root, name)) % 1000))


async def test_files_that_hang_fail_and_others_are_imported_meanwhile(
    harness: IngestHarness, disk: FailingDisk, tmp_path: Path
) -> None:
    healthy = await second_library(harness, tmp_path)
    async with harness.running_ingest():
        await until(healthy.is_scanned)
        disk.set_fault("hang")
        write(harness.root, *HUNG)
        await until(lambda: has_failed(harness, 2))
        write(healthy.root, "new.jpg")
        await healthy.wait_for_images("resident.jpg", "new.jpg")
        write(harness.root, "readable.jpg")
        await harness.wait_for_images("readable.jpg")
        failed = await harness.wait_for_images(*HUNG, state=ImageState.FAILED)
        assert {image.error for image in failed.values()} == {
            "the file cannot be read: no byte of it arrived within 1.5 s"
        }
        disk.set_fault("")
        await harness.catalog.libraries.request_rescan(harness.library.id)
        await harness.wait_for_images("readable.jpg", *HUNG)


async def has_failed(harness: IngestHarness, count: int) -> bool:
    return len(await harness.images_by_path(ImageState.FAILED)) >= count


async def test_a_library_of_files_that_hang_is_imported_once_they_answer(
    harness: IngestHarness, disk: FailingDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More files than may hang at a time: the others wait for a scan, and are not failed."""
    monkeypatch.setattr(library_threads, "STALLED_LIMIT", 3)
    healthy = await second_library(harness, tmp_path)
    async with harness.running_ingest():
        await until(healthy.is_scanned)
        disk.set_fault("hang")
        write(harness.root, *HUNG)
        await until(lambda: has_failed(harness, 3))
        await harness.catalog.libraries.request_rescan(harness.library.id)
        write(healthy.root, "new.jpg")
        await healthy.wait_for_images("resident.jpg", "new.jpg")
        assert len(await harness.images_by_path(ImageState.FAILED)) <= 3 + harness.settings.ingest_workers
        disk.set_fault("")
        await harness.catalog.libraries.request_rescan(harness.library.id)
        await harness.wait_for_images(*HUNG)


async def test_a_folder_that_hangs_does_not_hold_up_a_copy_in_another_library(
    harness: IngestHarness, disk: FailingDisk, tmp_path: Path
) -> None:
    """Where the content of a new file is known, the files that have it are looked at."""
    healthy = await second_library(harness, tmp_path)
    (tmp_path / "disk" / "hung").mkdir()
    async with harness.running_ingest():
        write(harness.root / "hung", "a.jpg")
        await harness.wait_for_images("hung/a.jpg")
        data = (harness.root / "hung" / "a.jpg").read_bytes()
        disk.set_fault("hang")
        await harness.catalog.libraries.request_rescan(harness.library.id)
        (healthy.root / "copy.jpg").write_bytes(data)
        await healthy.wait_for_images("resident.jpg", "copy.jpg")
        disk.set_fault("")
