"""The original of a file that cannot be decoded: stored, referenced, and served as a download only."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.serializers import Serializer
from tagify.catalog import ImageFilter
from tagify.gc import GarbageCollector, GcResult
from tagify.model import Bucket, Content, Image, ImageState
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.originals import running_edge
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

SCRIPT = b"<html><script>alert(1)</script></html>" + bytes(1000)
NAME = "holiday.jpg"


def edge_settings(mongo_values: Values, s3_values: Values, folder: Path) -> EdgeSettings:
    return EdgeSettings(**mongo_values, **s3_values, edge_cache_dir=folder / "edge-cache")


async def import_failed(harness: IngestHarness, **files: bytes) -> dict[str, Image]:
    for name, data in files.items():
        (harness.root / name).write_bytes(data)
    async with harness.running_ingest():
        return await harness.wait_for_images(*files, state=ImageState.FAILED)


async def collect_garbage(harness: IngestHarness, blobs: ObjectStore) -> GcResult:
    none = timedelta(0)
    return await GarbageCollector(
        harness.catalog, blobs, missing_for=none, orphan_age=none, mark_age_s=0
    ).run()


async def test_the_original_of_a_failed_file_is_a_download(
    harness: IngestHarness, mongo_values: Values, s3_values: Values, tmp_path: Path
) -> None:
    large = SCRIPT + bytes(33 << 20)
    files = {NAME: SCRIPT, "large.jpg": large}
    failed = await import_failed(harness, **files)
    async with running_edge(edge_settings(mongo_values, s3_values, tmp_path)) as client:
        for name, data in files.items():
            url = f"/api/images/{failed[name].id}/file"
            response = await client.get(url)
            assert (response.status, await response.read()) == (200, data)
            assert response.headers["Content-Disposition"].startswith(f'attachment; filename="{name}"')
            assert response.headers["Content-Type"] == "application/octet-stream"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in response.headers["Content-Security-Policy"]
        part = await client.get(url, headers={"Range": "bytes=1-4"})
        assert (part.status, await part.read()) == (206, data[1:5])
        assert (await client.get(f"/api/images/{failed[NAME].id}/thumb")).status == 404
        by_content = await client.get(f"/media/{failed[NAME].content}/original")
        assert by_content.headers["Content-Type"] == "application/octet-stream"


async def test_the_api_names_the_download_of_a_failed_file(harness: IngestHarness) -> None:
    failed = await import_failed(harness, **{NAME: SCRIPT, "empty.jpg": b""})
    tiles = await harness.catalog.listing.page(ImageFilter(state=ImageState.FAILED), limit=10)
    serializer = Serializer("https://edge.test", ())
    items: dict[str, Any] = {tile.path: serializer.tile(tile) for tile in tiles.tiles}
    url = f"https://edge.test/api/images/{failed[NAME].id}/file"
    assert items[NAME]["original"] == serializer.image_details(failed[NAME])["original"] == url
    assert "content" not in items[NAME] and "thumb" not in serializer.image_details(failed[NAME])
    assert "original" not in items["empty.jpg"] and failed["empty.jpg"].content is None


async def test_the_original_is_kept_as_long_as_the_failed_image(
    harness: IngestHarness, blobs: ObjectStore
) -> None:
    content = Content(hashlib.sha256(SCRIPT).hexdigest())
    await import_failed(harness, **{NAME: SCRIPT})
    assert await collect_garbage(harness, blobs) == GcResult(0, 0)
    assert (await blobs.download(Bucket.ORIGINALS, content)).data == SCRIPT
    (harness.root / NAME).unlink()
    async with harness.running_ingest():
        await harness.wait_for_images(state=ImageState.FAILED)
    assert await collect_garbage(harness, blobs) == GcResult(1, 1)
    assert not await blobs.exists(Bucket.ORIGINALS, content)


@pytest.mark.parametrize("new_name", [NAME, "renamed.jpg"])
async def test_a_failed_file_that_returns_or_moves_stays_failed(
    harness: IngestHarness, new_name: str
) -> None:
    (before,) = (await import_failed(harness, **{NAME: SCRIPT})).values()
    aside = harness.root.parent / "aside"
    async with harness.running_ingest():
        (harness.root / NAME).rename(aside)
        await until(lambda: is_missing(harness))
        aside.rename(harness.root / new_name)
        after = (await harness.wait_for_images(new_name, state=ImageState.FAILED))[new_name]
        assert not await harness.images_by_path()
    assert (after.id, after.content, after.error) == (before.id, before.content, before.error)


async def test_a_failed_file_that_is_mended_is_ready(harness: IngestHarness) -> None:
    (before,) = (await import_failed(harness, **{NAME: SCRIPT})).values()
    (harness.root / NAME).write_bytes(pictures.with_keywords("sea"))
    async with harness.running_ingest():
        after = (await harness.wait_for_images(NAME))[NAME]
    assert (after.id, after.tags, after.error) == (before.id, ("sea",), "")


async def test_a_file_that_decodes_later_keeps_its_id_tags_and_original(
    harness: IngestHarness, blobs: ObjectStore
) -> None:
    """The same bytes, which had more pixels than the limit."""
    data, limited = pictures.with_keywords("sea"), harness.settings
    harness.settings = limited.model_copy(update={"max_pixels": 1000})
    (before,) = (await import_failed(harness, **{NAME: data})).values()
    await harness.catalog.tags.change([before.id], ["mine"], [])
    await collect_garbage(harness, blobs)
    harness.settings = limited
    os.utime(harness.root / NAME)
    async with harness.running_ingest():
        after = (await harness.wait_for_images(NAME))[NAME]
    assert (after.id, after.content, after.error) == (before.id, before.content, "")
    assert set(after.tags) == {"mine", "sea"}
    assert after.content is not None
    assert (await blobs.download(Bucket.ORIGINALS, after.content)).data == data
    assert await blobs.exists(Bucket.THUMBS, after.content)


async def is_missing(harness: IngestHarness) -> bool:
    return bool(await harness.images_by_path(ImageState.MISSING))
