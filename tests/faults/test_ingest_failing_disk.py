"""A disk that fails with EIO: no image is deleted, unreadable files are retried, the daemon keeps running."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tagify.model import ImageState
from tests.support import pictures
from tests.support.failing_disk import FailingDisk, failing_disk
from tests.support.ingest_harness import IngestHarness
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

NAMES = [f"{number}.jpg" for number in range(12)]


@pytest.fixture
async def disk(harness: IngestHarness, tmp_path: Path) -> AsyncIterator[FailingDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    async with failing_disk(folder, harness.root, tmp_path / "fault") as made:
        yield made


def write(harness: IngestHarness, *names: str) -> None:
    for name in names:
        (harness.root / name).write_bytes(pictures.jpeg(64, 48, seed=hash(name) % 1000))


async def rescan(harness: IngestHarness) -> None:
    """Request a scan and wait until it has ended."""
    before = await harness.load_library()
    await harness.catalog.libraries.request_rescan(harness.library.id)

    async def probe() -> bool:
        now = await harness.load_library()
        return (now.last_scanned, now.scan_error) != (
            before.last_scanned,
            before.scan_error,
        ) and not now.scanning

    await until(probe)


async def test_an_unreadable_file_is_failed_until_it_is_readable(
    harness: IngestHarness, disk: FailingDisk
) -> None:
    async with harness.running_ingest():
        write(harness, *NAMES[:6])
        known = await harness.wait_for_images(*NAMES[:6])
        disk.set_fault("read")
        write(harness, *NAMES[6:])
        failed = await harness.wait_for_images(*NAMES[6:], state=ImageState.FAILED)
        assert {image.error for image in failed.values()} == {"the file cannot be read: Input/output error"}
        disk.set_fault("")
        await harness.catalog.libraries.request_rescan(harness.library.id)
        images = await harness.wait_for_images(*NAMES)
    assert {name: images[name].id for name in NAMES} == {
        name: image.id for name, image in (known | failed).items()
    }


@pytest.mark.parametrize("fault", ["stat", "list"])
async def test_no_image_is_deleted_while_the_disk_fails(
    harness: IngestHarness, disk: FailingDisk, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with harness.running_ingest():
        write(harness, *NAMES)
        known = await harness.wait_for_images(*NAMES)
        disk.set_fault(fault)
        await harness.catalog.libraries.request_rescan(harness.library.id)

        async def has_scan_error() -> bool:
            return (await harness.load_library()).scan_error != ""

        await until(has_scan_error)
        assert await harness.images_by_path() == known
        disk.set_fault("")
        write(harness, "new.jpg")
        images = await harness.wait_for_images("new.jpg", *NAMES)
        await rescan(harness)
    assert {name: images[name].id for name in NAMES} == {name: known[name].id for name in NAMES}
    assert "background task failed" not in caplog.text


async def test_an_event_for_a_file_without_stat_does_not_stop_the_worker(
    harness: IngestHarness, disk: FailingDisk, caplog: pytest.LogCaptureFixture
) -> None:
    async with harness.running_ingest():
        write(harness, "a.jpg")
        await harness.wait_for_images("a.jpg")
        file = harness.root / "a.jpg"
        with file.open("ab") as out:
            out.write(b"more")
            disk.set_fault("stat")

        async def is_logged() -> bool:
            return "a.jpg cannot be read" in caplog.text

        await until(is_logged)
        disk.set_fault("")
        write(harness, "b.jpg")
        await harness.wait_for_images("a.jpg", "b.jpg")
    assert "background task failed" not in caplog.text
