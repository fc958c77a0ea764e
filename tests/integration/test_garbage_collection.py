"""Garbage collection deletes long-missing images and unreferenced objects, never an object in use."""

import hashlib
from dataclasses import replace
from datetime import timedelta

from ingest.library_removal import LibraryRemover
from tagify.catalog import Catalog, ImageFilter, MarkedObject, MarkMissing, UpsertImage
from tagify.gc import GarbageCollector, GcResult
from tagify.model import Bucket, Content, FileFacts, ImageState, Library, Picture
from tagify.storage.store import ObjectStore

DATA = b"original"
CONTENT = Content(hashlib.sha256(DATA).hexdigest())
NONE, DAY = timedelta(), timedelta(days=1)
PICTURE = Picture("image/jpeg", 1, 1, b"", keywords=("sea",))


def garbage_collector(
    catalog: Catalog, blobs: ObjectStore, *, missing_for: timedelta = DAY, orphan_age: timedelta = NONE
) -> GarbageCollector:
    return GarbageCollector(catalog, blobs, missing_for=missing_for, orphan_age=orphan_age, mark_age_s=0)


async def upload_objects(blobs: ObjectStore) -> None:
    await blobs.upload(Bucket.ORIGINALS, CONTENT, DATA, "image/jpeg")
    await blobs.upload(Bucket.THUMBS, CONTENT, b"thumb", "image/jpeg")


def upsert(library: Library, path: str = "a.jpg") -> UpsertImage:
    return UpsertImage(library.id, FileFacts(path, 1, 1, 1), CONTENT, PICTURE)


async def objects_exist(blobs: ObjectStore) -> list[bool]:
    return [await blobs.exists(bucket, CONTENT) for bucket in Bucket]


async def test_unreferenced_object_is_deleted_after_its_minimum_age(
    catalog: Catalog, blobs: ObjectStore
) -> None:
    await upload_objects(blobs)
    assert await garbage_collector(catalog, blobs, orphan_age=DAY).run() == GcResult(0, 0)
    assert await objects_exist(blobs) == [True, True]
    assert await garbage_collector(catalog, blobs).run() == GcResult(0, 2)
    assert await objects_exist(blobs) == [False, False]


async def test_objects_of_missing_images_are_kept(
    catalog: Catalog, blobs: ObjectStore, library: Library
) -> None:
    await upload_objects(blobs)
    await catalog.images.write([upsert(library)])
    assert await garbage_collector(catalog, blobs).run() == GcResult(0, 0)
    image = (await catalog.listing.newest(ImageFilter(), limit=1))[0]
    await catalog.images.write([MarkMissing(image.id, library.id, "a.jpg")])
    assert await garbage_collector(catalog, blobs).run() == GcResult(0, 0)
    assert await garbage_collector(catalog, blobs, missing_for=NONE).run() == GcResult(1, 2)
    assert not await catalog.listing.newest(ImageFilter(state=ImageState.MISSING), limit=1)


async def test_restored_image_is_not_deleted(catalog: Catalog, blobs: ObjectStore, library: Library) -> None:
    await catalog.images.write([upsert(library)])
    image = (await catalog.listing.newest(ImageFilter(), limit=1))[0]
    await catalog.images.write([MarkMissing(image.id, library.id, "a.jpg")])
    await catalog.images.write([upsert(library, "b.jpg")])
    assert (await garbage_collector(catalog, blobs, missing_for=NONE).run()).images_deleted == 0
    assert (await catalog.listing.newest(ImageFilter(), limit=1))[0].tags == ("sea",)


async def test_images_of_a_marked_content_are_not_written_until_it_is_unmarked(
    catalog: Catalog, blobs: ObjectStore, library: Library
) -> None:
    await upload_objects(blobs)
    key = blobs.object_key(Bucket.ORIGINALS, CONTENT)
    await catalog.deletion_queue.mark([MarkedObject(Bucket.ORIGINALS, key, CONTENT)])
    other = replace(upsert(library, "b.jpg"), content=Content("cd" * 32))
    assert await catalog.images.write([upsert(library), other]) == {CONTENT}
    assert [image.file.path for image in await catalog.listing.newest(ImageFilter(), limit=9)] == ["b.jpg"]
    # The next pass finishes an interrupted one, and also deletes the thumbnail.
    assert (await garbage_collector(catalog, blobs).run()).objects_deleted == 2
    assert await catalog.images.write([upsert(library)]) == set()


async def test_marked_content_that_is_referenced_again_is_unmarked(
    catalog: Catalog, blobs: ObjectStore, library: Library
) -> None:
    await upload_objects(blobs)
    await catalog.images.write([upsert(library)])
    key = blobs.object_key(Bucket.ORIGINALS, CONTENT)
    await catalog.deletion_queue.mark([MarkedObject(Bucket.ORIGINALS, key, CONTENT)])
    assert await garbage_collector(catalog, blobs).run() == GcResult(0, 0)
    assert await objects_exist(blobs) == [True, True]
    assert await catalog.images.write([upsert(library)]) == set()


async def test_removed_library_leaves_no_objects(
    catalog: Catalog, blobs: ObjectStore, library: Library
) -> None:
    await upload_objects(blobs)
    await catalog.images.write([upsert(library)])
    await catalog.libraries.begin_removal(library.id)
    lease = await catalog.leases.acquire(library.id, "test", 60)
    await LibraryRemover(catalog, blobs, mark_age_s=0).run(library, lease.token)
    assert await objects_exist(blobs) == [False, False]
    assert await catalog.libraries.list_all() == []
    assert await garbage_collector(catalog, blobs).run() == GcResult(0, 0)
