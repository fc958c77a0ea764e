"""Forgetting what was missing for long, and removing objects that nothing refers to, never one that is in use."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from ingest.library_removal import LibraryRemover
from tagify.catalog import Catalog, ImageFilter, MarkMissing, StoredObject, UpsertImage
from tagify.gc import GarbageCollector, GcResult
from tagify.model import Bucket, Content, FileFacts, ImageState, Library, Picture
from tagify.storage.store import ObjectStore

DATA = b"original"
CONTENT = Content(hashlib.sha256(DATA).hexdigest())
NONE, DAY = timedelta(), timedelta(days=1)
PICTURE = Picture("image/jpeg", 1, 1, b"", keywords=("sea",))


def sweep(
    catalog: Catalog, blobs: ObjectStore, *, forget: timedelta = DAY, grace: timedelta = NONE
) -> GarbageCollector:
    return GarbageCollector(catalog, blobs, missing_for=forget, orphan_age=grace, mark_age_s=0)


@pytest.fixture
async def library(catalog: Catalog) -> Library:
    return await catalog.libraries.create("Test", "/srv/test")


async def put(blobs: ObjectStore) -> None:
    await blobs.upload(Bucket.ORIGINALS, CONTENT, DATA, "image/jpeg")
    await blobs.upload(Bucket.THUMBS, CONTENT, b"thumb", "image/jpeg")


def store(library: Library, path: str = "a.jpg") -> UpsertImage:
    return UpsertImage(library.id, FileFacts(path, 1, 1, 1), CONTENT, PICTURE)


async def there(blobs: ObjectStore) -> list[bool]:
    return [await blobs.exists(bucket, CONTENT) for bucket in Bucket]


async def test_an_orphan_goes_once_its_grace_is_over(catalog: Catalog, blobs: ObjectStore) -> None:
    await put(blobs)
    assert await sweep(catalog, blobs, grace=DAY).run() == GcResult(0, 0)
    assert await there(blobs) == [True, True]
    assert await sweep(catalog, blobs).run() == GcResult(0, 2)
    assert await there(blobs) == [False, False]


async def test_what_any_image_refers_to_stays_also_while_it_is_missing(
    catalog: Catalog, blobs: ObjectStore, library: Library
) -> None:
    await put(blobs)
    await catalog.images.write([store(library)])
    assert await sweep(catalog, blobs).run() == GcResult(0, 0)
    image = (await catalog.listing.newest(ImageFilter(), limit=1))[0]
    await catalog.images.write([MarkMissing(image.id, library.id, "a.jpg")])
    assert await sweep(catalog, blobs).run() == GcResult(0, 0)
    assert await sweep(catalog, blobs, forget=NONE).run() == GcResult(1, 2)
    assert not await catalog.listing.newest(ImageFilter(state=ImageState.MISSING), limit=1)


async def test_what_came_back_is_not_forgotten(
    catalog: Catalog, blobs: ObjectStore, library: Library
) -> None:
    await catalog.images.write([store(library)])
    image = (await catalog.listing.newest(ImageFilter(), limit=1))[0]
    await catalog.images.write([MarkMissing(image.id, library.id, "a.jpg")])
    await catalog.images.write([store(library, "b.jpg")])
    assert (await sweep(catalog, blobs, forget=NONE).run()).images_deleted == 0
    assert (await catalog.listing.newest(ImageFilter(), limit=1))[0].tags == ("sea",)


async def test_no_image_of_a_condemned_content_is_written_until_it_is_pardoned(
    catalog: Catalog, blobs: ObjectStore, library: Library
) -> None:
    await put(blobs)
    key = blobs.object_key(Bucket.ORIGINALS, CONTENT)
    await catalog.deletion_queue.mark([StoredObject(Bucket.ORIGINALS, key, CONTENT)])
    other = replace(store(library, "b.jpg"), content=Content("cd" * 32))
    assert await catalog.images.write([store(library), other]) == {CONTENT}
    assert [image.file.path for image in await catalog.listing.newest(ImageFilter(), limit=9)] == ["b.jpg"]
    # A pass that was broken off here is finished by the next, which also finds the thumb.
    assert (await sweep(catalog, blobs).run()).objects_deleted == 2
    assert await catalog.images.write([store(library)]) == set()


async def test_a_content_that_is_referred_to_after_all_is_pardoned(
    catalog: Catalog, blobs: ObjectStore, library: Library
) -> None:
    await put(blobs)
    await catalog.images.write([store(library)])
    key = blobs.object_key(Bucket.ORIGINALS, CONTENT)
    await catalog.deletion_queue.mark([StoredObject(Bucket.ORIGINALS, key, CONTENT)])
    assert await sweep(catalog, blobs).run() == GcResult(0, 0)
    assert await there(blobs) == [True, True]
    assert await catalog.images.write([store(library)]) == set()


async def test_a_removed_library_leaves_no_objects(
    catalog: Catalog, blobs: ObjectStore, library: Library
) -> None:
    await put(blobs)
    await catalog.images.write([store(library)])
    await catalog.libraries.begin_removal(library.id)
    lease = await catalog.leases.acquire(library.id, "test", 60)
    await LibraryRemover(catalog, blobs, mark_age_s=0).run(library, lease.token)
    assert await there(blobs) == [False, False]
    assert await catalog.libraries.list_all() == []
    assert await sweep(catalog, blobs).run() == GcResult(0, 0)
