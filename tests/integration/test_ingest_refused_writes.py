"""Metadata that the catalog cannot hold are left out; a write that it refuses ends as a failed image."""

import asyncio
import logging
import math
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags
from PIL.Image import Exif
from pymongo import MongoClient

from ingest.lease import HeldLeases
from ingest.pipeline.batch_writer import BatchWriter
from ingest.pipeline.importer import Importer
from tagify.catalog import Catalog, CatalogError, ImageCommand, UpsertImage
from tagify.catalog.images.repository import ImageRepository
from tagify.catalog.mapping import picture_fields
from tagify.concurrency.tasks import cancel_and_wait
from tagify.metrics import Metrics
from tagify.model import Bucket, Content, FileFacts, GeoPosition, ImageState, Library, Picture
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.waiting import until

minio = pytest.mark.parametrize("s3", ["minio"], indirect=True)


def with_date(time: str, offset: str, seed: int) -> bytes:
    exif = Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = time
    details[ExifTags.Base.OffsetTimeOriginal] = offset
    return pictures.jpeg(64, 48, seed=seed, exif=exif.tobytes())


DATES = {
    "first.jpg": ("0001:01:01 00:00:00", "+09:00"),
    "last.jpg": ("9999:12:31 23:59:59", "-09:00"),
    "in.jpg": ("1969:12:31 23:30:00", "-01:00"),
    "zero.jpg": ("0000:00:00 00:00:00", "+00:00"),
}


@minio
async def test_images_with_dates_beyond_the_calendar_are_listed(harness: IngestHarness) -> None:
    for seed, (name, (time, offset)) in enumerate(DATES.items()):
        (harness.root / name).write_bytes(with_date(time, offset, seed))
    (harness.root / "plain.jpg").write_bytes(pictures.jpeg(64, 48, seed=99))
    async with harness.running_ingest():
        images = await harness.wait_for_images(*DATES, "plain.jpg")
    modified = datetime.fromtimestamp((harness.root / "first.jpg").stat().st_mtime, UTC)
    for name in ("first.jpg", "last.jpg"):
        taken = images[name].taken_at
        assert taken is not None
        assert abs(taken - modified) < timedelta(seconds=2)
    assert images["in.jpg"].taken_at == datetime(1970, 1, 1, 0, 30, tzinfo=UTC)


@pytest.fixture
async def writer(catalog: Catalog, library: Library) -> AsyncIterator[BatchWriter]:
    leases = HeldLeases()
    leases.add(library.id, (await catalog.leases.acquire(library.id, "test", 600)).token)
    made = BatchWriter(catalog, Metrics(), batch_size=8, wait_s=0.1, leases=leases)
    working = asyncio.create_task(made.run())
    yield made
    await cancel_and_wait(working)


def command(library: Library, path: str, inode: int = 1, **values: Any) -> UpsertImage:
    picture = Picture(**{"mime": "image/jpeg", "width": 1, "height": 1, "placeholder": b"", **values})
    return UpsertImage(library.id, FileFacts(path, 1, 1, inode), None, picture)


async def states(catalog: Catalog, library: Library) -> dict[str, ImageState]:
    entries = await catalog.images.list_below(library.id, "")
    return {entry.file.path: entry.state for entry in entries}


@minio
async def test_a_file_of_the_year_2300_is_listed(harness: IngestHarness) -> None:
    path = harness.root / "a.jpg"
    path.write_bytes(pictures.jpeg(64, 48, seed=1))
    seconds = 330 * 31_556_952
    os.utime(path, (seconds, seconds))
    async with harness.running_ingest():
        images = await harness.wait_for_images("a.jpg")
    assert images["a.jpg"].file.mtime_ns == path.stat().st_mtime_ns


UNSTORABLE: dict[str, dict[str, Any]] = {
    "year-1.jpg": {"taken_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=9)))},
    "year-9999.jpg": {"taken_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-9)))},
    "nan.jpg": {"position": GeoPosition(math.nan, 1.0)},
    "inf.jpg": {"position": GeoPosition(1.0, math.inf)},
    "camera.jpg": {"camera": "a\ud800b"},
    "lens.jpg": {"lens": "\udfff"},
    "frames.jpg": {"frames": 1 << 70},
}


async def test_values_that_a_document_cannot_hold_are_left_out(
    catalog: Catalog, library: Library, writer: BatchWriter
) -> None:
    pending = [
        await writer.enqueue(command(library, path, number, **values))
        for number, (path, values) in enumerate(UNSTORABLE.items(), 1)
    ]
    assert await asyncio.gather(*pending, return_exceptions=True) == [None] * len(UNSTORABLE)
    assert set((await states(catalog, library)).values()) == {ImageState.READY}
    entries = await catalog.images.by_paths(library.id, list(UNSTORABLE))
    stored = {path: await catalog.images.get(entry.id) for path, entry in entries.items()}
    assert [image.camera for image in stored.values() if image and image.camera] == ["ab"]
    assert not [image for image in stored.values() if image and image.position]


@given(
    st.builds(
        Picture,
        mime=st.just("image/jpeg"),
        width=st.just(1),
        height=st.just(1),
        placeholder=st.just(b""),
        taken_at=st.none()
        | st.datetimes(
            timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
        ),
        camera=st.text(st.characters(exclude_categories=())),
        lens=st.text(st.characters(exclude_categories=())),
        position=st.none() | st.builds(GeoPosition, st.floats(), st.floats()),
        frames=st.integers(),
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_picture_can_be_encoded(picture: Picture) -> None:
    import bson  # noqa: PLC0415 - only this test encodes

    fields = bson.decode(bson.encode(picture_fields(picture)))
    assert fields["frames"] == (picture.frames if abs(picture.frames) < 1 << 63 else fields["frames"])


@pytest.mark.parametrize("year", [1600, 1969, 2300, 2446])
async def test_file_times_of_any_year_are_stored_as_they_are(
    catalog: Catalog, library: Library, year: int
) -> None:
    """The nanoseconds of years before 1677 and after 2262 do not fit into 64 bits."""
    facts = FileFacts("a.jpg", 1, (year - 1970) * 31_556_952 * 1_000_000_000, 1)
    await catalog.images.write([UpsertImage(library.id, facts, None, None, "x")])
    (entry,) = (await catalog.images.by_paths(library.id, ["a.jpg"])).values()
    assert entry.file == facts


async def test_a_document_that_is_too_large_ends_as_failed(
    catalog: Catalog, library: Library, writer: BatchWriter, caplog: pytest.LogCaptureFixture
) -> None:
    commands = [command(library, f"{number}.jpg", number) for number in range(1, 7)]
    commands.insert(3, command(library, "large.jpg", 9, placeholder=b"x" * (17 << 20)))
    pending = [await writer.enqueue(item) for item in commands]
    results = await asyncio.gather(*pending, return_exceptions=True)
    assert [type(error) for error in results if error] == [CatalogError]
    found = await states(catalog, library)
    assert found.pop("large.jpg") is ImageState.FAILED
    assert set(found.values()) == {ImageState.READY}
    (line,) = [record for record in caplog.records if "catalog rejected" in record.message]
    assert line.__dict__["fields"]["file"] == "large.jpg"
    assert "10334" in line.message
    assert len(caplog.text) < 3000


def set_validator(values: Values, validator: dict[str, Any]) -> None:
    with MongoClient[dict[str, Any]](values["mongo_uri"]) as client:
        client[values["mongo_database"]].command("collMod", "images", validator=validator)


@minio
async def test_files_that_the_server_refuses_end_as_failed_and_the_rest_is_listed(
    harness: IngestHarness, mongo_values: Values, blobs: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A validator refuses one camera in ready images, and one path in any state."""
    caplog.set_level(logging.INFO)
    exif = Exif()
    exif[ExifTags.Base.Model] = "Refused"
    refused = pictures.jpeg(64, 48, seed=1, exif=exif.tobytes())
    (harness.root / "refused.jpg").write_bytes(refused)
    (harness.root / "never.jpg").write_bytes(pictures.jpeg(64, 48, seed=2))
    for number in range(5):
        (harness.root / f"{number}.jpg").write_bytes(pictures.jpeg(64, 48, seed=10 + number))
    await asyncio.to_thread(
        set_validator, mongo_values, {"camera": {"$ne": "Refused"}, "path": {"$ne": "never.jpg"}}
    )
    async with harness.running_ingest():
        await harness.wait_for_images(*(f"{number}.jpg" for number in range(5)))
        failed = await harness.wait_for_images("refused.jpg", state=ImageState.FAILED)
        assert "code 121" in failed["refused.jpg"].error
        content = failed["refused.jpg"].content
        assert content is not None
        assert (await blobs.download(Bucket.ORIGINALS, content)).data == refused
        before = len(caplog.records)
        await asyncio.sleep(1.5)
        lines = [record for record in caplog.records[before:] if "rejected" in record.message]
        assert lines == []
        # A file that can be stored again is listed: only its own bytes decide.
        (harness.root / "refused.jpg").write_bytes(pictures.jpeg(64, 48, seed=3))
        await harness.wait_for_images("refused.jpg", *(f"{number}.jpg" for number in range(5)))
    assert "Traceback" not in caplog.text
    lines = [record for record in caplog.records if "catalog rejected" in record.message]
    assert len(lines) <= 3


@minio
async def test_a_move_that_the_server_refuses_stops_no_worker(
    harness: IngestHarness, mongo_values: Values, caplog: pytest.LogCaptureFixture
) -> None:
    (harness.root / "a.jpg").write_bytes(pictures.jpeg(64, 48, seed=1))
    async with harness.running_ingest():
        await harness.wait_for_images("a.jpg")
        await asyncio.to_thread(set_validator, mongo_values, {"path": {"$ne": "never.jpg"}})
        (harness.root / "a.jpg").rename(harness.root / "never.jpg")
        (harness.root / "b.jpg").write_bytes(pictures.jpeg(64, 48, seed=2))

        async def listed() -> bool:
            return "b.jpg" in await harness.images_by_path()

        await until(listed)
    assert "Traceback" not in caplog.text


@minio
@pytest.mark.parametrize("error", [KeyError("x"), OverflowError("x"), RecursionError("x")])
async def test_a_bug_with_one_file_ends_as_failed(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    import_file = Importer.import_file

    async def broken(importer: Importer, job: Any, *rest: Any) -> ImageCommand:
        if job.file.path == "bad.jpg":
            raise error
        return await import_file(importer, job, *rest)

    monkeypatch.setattr(Importer, "import_file", broken)
    (harness.root / "bad.jpg").write_bytes(pictures.jpeg(64, 48, seed=1))
    (harness.root / "good.jpg").write_bytes(pictures.jpeg(64, 48, seed=2))
    async with harness.running_ingest():
        await harness.wait_for_images("good.jpg")
        failed = await harness.wait_for_images("bad.jpg", state=ImageState.FAILED)
        assert type(error).__name__ in failed["bad.jpg"].error


@pytest.mark.parametrize("marked", [False, True])
async def test_a_content_that_cannot_be_written_is_left_out_of_the_failed_image(
    catalog: Catalog,
    library: Library,
    writer: BatchWriter,
    monkeypatch: pytest.MonkeyPatch,
    marked: bool,
) -> None:
    """It is refused for good, or its objects are about to be removed."""
    write = ImageRepository.write

    async def broken(images: ImageRepository, commands: Any, *rest: Any) -> Any:
        if commands[0].picture or (commands[0].content and not marked):
            raise CatalogError("refused")
        return {commands[0].content} if commands[0].content else await write(images, commands, *rest)

    monkeypatch.setattr(ImageRepository, "write", broken)
    refused = replace(command(library, "bad.jpg"), content=Content("c" * 64))
    await asyncio.gather(await writer.enqueue(refused), return_exceptions=True)
    (entry,) = (await catalog.images.by_paths(library.id, ["bad.jpg"])).values()
    image = await catalog.images.get(entry.id)
    assert image is not None
    assert (image.state, image.content) == (ImageState.FAILED, None)
    assert image.error == "the image cannot be listed: refused"


async def test_a_write_that_raises_a_bug_ends_as_failed(
    catalog: Catalog, library: Library, writer: BatchWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = ImageRepository.write

    async def broken(images: ImageRepository, commands: Any, *rest: Any) -> Any:
        if any(item.picture and item.file.path == "bad.jpg" for item in commands):
            raise KeyError("tags")
        return await write(images, commands, *rest)

    monkeypatch.setattr(ImageRepository, "write", broken)
    pending = [
        await writer.enqueue(command(library, path, number))
        for number, path in enumerate(["a.jpg", "bad.jpg", "c.jpg"], 1)
    ]
    await asyncio.gather(*pending, return_exceptions=True)
    assert await states(catalog, library) == {
        "a.jpg": ImageState.READY,
        "bad.jpg": ImageState.FAILED,
        "c.jpg": ImageState.READY,
    }
