"""A disk that answers EIO: nothing is removed on its word, what could not be read is tried again, the daemon lives on."""

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


async def rescanned(harness: IngestHarness) -> None:
    """A scan that was begun after this call has ended."""
    before = await harness.load_library()
    await harness.catalog.libraries.request_rescan(harness.library.id)

    async def probe() -> bool:
        now = await harness.load_library()
        return (now.last_scanned, now.scan_error) != (
            before.last_scanned,
            before.scan_error,
        ) and not now.scanning

    await until(probe)


async def test_a_file_that_cannot_be_read_is_failed_until_it_can(
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
        found = await harness.wait_for_images(*NAMES)
    assert {name: found[name].id for name in NAMES} == {
        name: image.id for name, image in (known | failed).items()
    }


@pytest.mark.parametrize("what", ["stat", "list"])
async def test_a_disk_that_tells_nothing_takes_nothing_away(
    harness: IngestHarness, disk: FailingDisk, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with harness.running_ingest():
        write(harness, *NAMES)
        known = await harness.wait_for_images(*NAMES)
        disk.set_fault(what)
        await harness.catalog.libraries.request_rescan(harness.library.id)

        async def told() -> bool:
            return (await harness.load_library()).scan_error != ""

        await until(told)
        assert await harness.images_by_path() == known
        disk.set_fault("")
        write(harness, "new.jpg")
        found = await harness.wait_for_images("new.jpg", *NAMES)
        await rescanned(harness)
    assert {name: found[name].id for name in NAMES} == {name: known[name].id for name in NAMES}
    assert "library worker failed" not in caplog.text


async def test_an_event_of_a_file_that_cannot_be_looked_at_ends_nothing(
    harness: IngestHarness, disk: FailingDisk, caplog: pytest.LogCaptureFixture
) -> None:
    async with harness.running_ingest():
        write(harness, "a.jpg")
        await harness.wait_for_images("a.jpg")
        place = harness.root / "a.jpg"
        with place.open("ab") as out:
            out.write(b"more")
            disk.set_fault("stat")

        async def told() -> bool:
            return "a.jpg cannot be read" in caplog.text

        await until(told)
        disk.set_fault("")
        write(harness, "b.jpg")
        await harness.wait_for_images("a.jpg", "b.jpg")
    assert "library worker failed" not in caplog.text
