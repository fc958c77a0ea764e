"""A disk that answers EIO: nothing is removed on its word, what could not be read is tried again, the daemon lives on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tagify.model import ImageState
from tests.support import pictures
from tests.support.failing_disk import Disk, failing_disk
from tests.support.ingest_harness import House
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

NAMES = [f"{number}.jpg" for number in range(12)]


@pytest.fixture
async def disk(house: House, tmp_path: Path) -> AsyncIterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    async with failing_disk(folder, house.root, tmp_path / "fault") as made:
        yield made


def write(house: House, *names: str) -> None:
    for name in names:
        (house.root / name).write_bytes(pictures.jpeg(64, 48, seed=hash(name) % 1000))


async def rescanned(house: House) -> None:
    """A scan that was begun after this call has ended."""
    before = await house.state()
    await house.catalog.libraries.request_rescan(house.library.id)

    async def probe() -> bool:
        now = await house.state()
        return (now.last_scanned, now.scan_error) != (
            before.last_scanned,
            before.scan_error,
        ) and not now.scanning

    await until(probe)


async def test_a_file_that_cannot_be_read_is_failed_until_it_can(house: House, disk: Disk) -> None:
    async with house.daemon():
        write(house, *NAMES[:6])
        known = await house.holds(*NAMES[:6])
        disk.fail("read")
        write(house, *NAMES[6:])
        failed = await house.holds(*NAMES[6:], state=ImageState.FAILED)
        assert {image.error for image in failed.values()} == {"the file cannot be read: Input/output error"}
        disk.fail("")
        await house.catalog.libraries.request_rescan(house.library.id)
        found = await house.holds(*NAMES)
    assert {name: found[name].id for name in NAMES} == {
        name: image.id for name, image in (known | failed).items()
    }


@pytest.mark.parametrize("what", ["stat", "list"])
async def test_a_disk_that_tells_nothing_takes_nothing_away(
    house: House, disk: Disk, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with house.daemon():
        write(house, *NAMES)
        known = await house.holds(*NAMES)
        disk.fail(what)
        await house.catalog.libraries.request_rescan(house.library.id)

        async def told() -> bool:
            return (await house.state()).scan_error != ""

        await until(told)
        assert await house.images() == known
        disk.fail("")
        write(house, "new.jpg")
        found = await house.holds("new.jpg", *NAMES)
        await rescanned(house)
    assert {name: found[name].id for name in NAMES} == {name: known[name].id for name in NAMES}
    assert "keeper failed" not in caplog.text


async def test_an_event_of_a_file_that_cannot_be_looked_at_ends_nothing(
    house: House, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    async with house.daemon():
        write(house, "a.jpg")
        await house.holds("a.jpg")
        place = house.root / "a.jpg"
        with place.open("ab") as out:
            out.write(b"more")
            disk.fail("stat")

        async def told() -> bool:
            return "a.jpg cannot be read" in caplog.text

        await until(told)
        disk.fail("")
        write(house, "b.jpg")
        await house.holds("a.jpg", "b.jpg")
    assert "keeper failed" not in caplog.text
