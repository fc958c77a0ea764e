"""The change stream reports changes of lists of ready images, not the internal updates of a transaction."""

from collections.abc import Sequence

from tagify.catalog import (
    Catalog,
    CatalogChange,
    ChangeKind,
    ImageCommand,
    ImageFilter,
    MarkMissing,
    MoveImage,
    UpsertImage,
)
from tagify.model import Content, FileFacts, Library, Picture

PICTURE = Picture("image/jpeg", 1, 1, b"")


def upsert(library: Library, path: str, number: int) -> UpsertImage:
    content = Content(f"{number:064x}")
    return UpsertImage(library.id, FileFacts(path, 1, number, number), content, PICTURE)


async def changes_of(catalog: Catalog, writes: Sequence[ImageCommand]) -> list[CatalogChange]:
    """The changes of images that a batch causes."""
    stream = catalog.change_stream.follow()
    changes: list[CatalogChange] = []
    try:
        await anext(stream)
        await catalog.images.write(writes)
        while isinstance(change := await anext(stream), CatalogChange):
            changes.append(change)
    finally:
        await stream.aclose()
    return [change for change in changes if change.kind.startswith("image")]


async def test_image_moved_and_deleted_in_one_batch_is_reported_as_removed(catalog: Catalog) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    await catalog.images.write([upsert(library, "a.jpg", 1)])
    image = (await catalog.listing.newest(ImageFilter(), limit=1))[0]
    entry = (await catalog.images.by_paths(library.id, ["a.jpg"]))["a.jpg"]
    moved = FileFacts("b.jpg", 1, 1, 1)
    changes = await changes_of(
        catalog, [MoveImage(entry, library.id, moved), MarkMissing(image.id, library.id, "b.jpg")]
    )
    assert [(change.kind, change.id) for change in changes] == [(ChangeKind.IMAGE_REMOVED, image.id)]


async def test_move_is_reported_as_a_change(catalog: Catalog) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    await catalog.images.write([upsert(library, "a.jpg", 1)])
    image = (await catalog.listing.newest(ImageFilter(), limit=1))[0]
    entry = (await catalog.images.by_paths(library.id, ["a.jpg"]))["a.jpg"]
    changes = await changes_of(catalog, [MoveImage(entry, library.id, FileFacts("b.jpg", 1, 1, 1))])
    assert [(change.kind, change.id) for change in changes] == [(ChangeKind.IMAGE_CHANGED, image.id)]
