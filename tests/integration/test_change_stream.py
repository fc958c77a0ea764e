"""The stream of changes tells what happened to a list of ready images, and nothing of how it was written."""

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


def stored(library: Library, path: str, number: int) -> UpsertImage:
    content = Content(f"{number:064x}")
    return UpsertImage(library.id, FileFacts(path, 1, number, number), content, PICTURE)


async def told(catalog: Catalog, writes: Sequence[ImageCommand]) -> list[CatalogChange]:
    """What a batch tells of images."""
    stream = catalog.change_stream.follow()
    found: list[CatalogChange] = []
    try:
        await anext(stream)
        await catalog.images.write(writes)
        while isinstance(change := await anext(stream), CatalogChange):
            found.append(change)
    finally:
        await stream.aclose()
    return [change for change in found if change.kind.startswith("image")]


async def test_an_image_that_moves_and_leaves_in_one_batch_is_told_as_removed(catalog: Catalog) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    await catalog.images.write([stored(library, "a.jpg", 1)])
    image = (await catalog.listing.newest(ImageFilter(), limit=1))[0]
    seen = (await catalog.images.by_paths(library.id, ["a.jpg"]))["a.jpg"]
    moved = FileFacts("b.jpg", 1, 1, 1)
    changes = await told(
        catalog, [MoveImage(seen, library.id, moved), MarkMissing(image.id, library.id, "b.jpg")]
    )
    assert [(change.kind, change.id) for change in changes] == [(ChangeKind.IMAGE_REMOVED, image.id)]


async def test_a_move_is_told_as_a_change(catalog: Catalog) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    await catalog.images.write([stored(library, "a.jpg", 1)])
    image = (await catalog.listing.newest(ImageFilter(), limit=1))[0]
    seen = (await catalog.images.by_paths(library.id, ["a.jpg"]))["a.jpg"]
    changes = await told(catalog, [MoveImage(seen, library.id, FileFacts("b.jpg", 1, 1, 1))])
    assert [(change.kind, change.id) for change in changes] == [(ChangeKind.IMAGE_CHANGED, image.id)]
