"""Images in a catalog without files: many for tests of tags and lists, or one with its objects."""

import hashlib
from collections.abc import Sequence

from tagify.catalog import Catalog, ImageFilter, MarkedObject, UpsertImage
from tagify.imaging import decode_original
from tagify.model import Bucket, Content, FileFacts, Image, ImageId, Library, Picture
from tagify.storage.store import ObjectStore

BATCH = 500


async def insert_images(
    catalog: Catalog, library: Library, number: int, *keywords: str, start: int = 0
) -> list[ImageId]:
    """Insert images as ingest does; returns their ids, oldest first."""
    for first in range(start, start + number, BATCH):
        names = range(first, min(first + BATCH, start + number))
        await catalog.images.write([_upsert_command(library, name, keywords) for name in names])
    stored = await catalog.images.list_below(library.id, "", limit=100_000)
    entries = {entry.file.path: entry.id for entry in stored}
    return [entries[f"{name:06}.jpg"] for name in range(start, start + number)]


async def insert_stored_image(
    catalog: Catalog, blobs: ObjectStore, data: bytes, path: str = "a.jpg", *, root: str | None = None
) -> Image:
    """Insert one image with its objects as ingest does, in a new library."""
    content = Content(hashlib.sha256(data).hexdigest())
    derived = decode_original(data, max_pixels=10_000_000)
    await blobs.upload(Bucket.THUMBS, content, derived.thumb, derived.thumb_mime)
    await blobs.upload(Bucket.ORIGINALS, content, data, "image/jpeg")
    library = await catalog.libraries.create("Test", root or f"/srv/{path}")
    facts = FileFacts(path, len(data), 1, 1)
    await catalog.images.write([UpsertImage(library.id, facts, content, derived.picture)])
    (image,) = await catalog.listing.newest(ImageFilter(library_id=library.id), limit=1)
    return image


def _upsert_command(library: Library, name: int, keywords: Sequence[str]) -> UpsertImage:
    content = Content(hashlib.sha256(f"{library.id}{name}".encode()).hexdigest())
    picture = Picture("image/jpeg", 600, 400, b"\x01\x02", keywords=tuple(keywords))
    return UpsertImage(library.id, FileFacts(f"{name:06}.jpg", 100, name, name + 1), content, picture)


async def remove_library(catalog: Catalog, library: Library) -> None:
    """Remove the library as ingest does, except its objects."""
    await catalog.library_removal.begin(library.id)
    while await catalog.library_removal.delete_image_batch(
        library.id, {}, lambda content, _: [_original(content)]
    ):
        pass
    await catalog.library_removal.delete_library(library.id)


def _original(content: Content) -> MarkedObject:
    return MarkedObject(Bucket.ORIGINALS, f"{content[:2]}/{content}", content)


async def tags_of(catalog: Catalog, image: ImageId) -> tuple[str, ...]:
    stored = await catalog.images.get(image)
    assert stored is not None
    return stored.tags


async def all_images(catalog: Catalog) -> list[Image]:
    return list(await catalog.listing.newest(ImageFilter(), limit=10_000))


async def assert_counts_exact(catalog: Catalog) -> None:
    """Assert that the stored counts equal those of the images, per library and in total."""
    assert await catalog.count_verifier.verify() == []
