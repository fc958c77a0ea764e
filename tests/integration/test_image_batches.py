"""Batches of writes in any order: paths, ids, tags and counts come out as a plain model has them."""

import hashlib
from random import Random

import pytest

from tagify.catalog import Catalog, ImageCommand, ImageFilter, MarkMissing, MoveImage, UpsertImage
from tagify.model import CatalogEntry, Content, FileFacts, Image, ImageId, ImageState, Library, Picture

PATHS = [f"{name}.jpg" for name in "abcdef"]


def content(number: int) -> Content:
    return Content(hashlib.sha256(str(number).encode()).hexdigest())


def entry(image_id: ImageId, library: Library, path: str) -> CatalogEntry:
    """The image as it was seen there."""
    return CatalogEntry(image_id, library.id, facts(path, 0), ImageState.READY)


def facts(path: str, number: int) -> FileFacts:
    return FileFacts(path, 1, number, number)


class Model:
    """What is where: path -> id, or None for an image that is not known by its id yet."""

    def __init__(self, library: Library, random: Random) -> None:
        self._library = library
        self._random = random
        self.contents: dict[str, int] = {}
        self.ids: dict[str, ImageId] = {}
        self._fresh = 0

    def batch(self) -> list[ImageCommand]:
        return [self._write() for _ in range(self._random.randint(1, 6))]

    def learn(self, images: dict[str, Image]) -> None:
        """The ids, as the catalog has them after a batch; those that were known must be the same."""
        for path, name in self.ids.items():
            assert images[path].id == name
        self.ids = {path: image.id for path, image in images.items()}

    def _write(self) -> ImageCommand:
        known = [path for path in self.ids if path in self.contents]
        choice = self._random.random()
        if known and choice < 0.3:
            return self._move(self._random.choice(known), self._random.choice(PATHS))
        if known and choice < 0.5:
            path = self._random.choice(known)
            del self.contents[path]
            return MarkMissing(self.ids.pop(path), self._library.id, path)
        self._fresh += 1
        path = self._random.choice(PATHS)
        self.contents[path] = self._fresh
        keywords = ("seen", f"k{self._fresh % 3}")
        picture = Picture("image/jpeg", 1, 1, b"", keywords=keywords)
        return UpsertImage(self._library.id, facts(path, self._fresh), content(self._fresh), picture)

    def _move(self, old: str, new: str) -> MoveImage:
        number, name = self.contents.pop(old), self.ids.pop(old)
        self.ids.pop(new, None)
        self.contents[new], self.ids[new] = number, name
        return MoveImage(entry(name, self._library, old), self._library.id, facts(new, number))


@pytest.mark.parametrize("seed", range(12))
async def test_any_sequence_of_batches_ends_as_the_model_has_it(catalog: Catalog, seed: int) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    model = Model(library, Random(seed))
    for _ in range(12):
        await catalog.images.write(model.batch())
        found = await catalog.listing.newest(ImageFilter(), limit=100)
        images = {image.file.path: image for image in found}
        assert {path: image.content for path, image in images.items()} == {
            path: content(number) for path, number in model.contents.items()
        }
        model.learn(images)
        recount: dict[str, int] = {}
        for image in found:
            for tag in image.tags:
                recount[tag] = recount.get(tag, 0) + 1
        for scope in (None, library.id):
            counts = await catalog.tags.most_used(scope, limit=100)
            assert {tag.name: tag.count for tag in counts} == recount
        fresh = await catalog.libraries.get(library.id)
        assert fresh is not None
        assert fresh.indexed_count == len(images)


async def test_a_move_from_where_the_image_is_not_any_more_does_nothing(catalog: Catalog) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    await catalog.images.write(
        [UpsertImage(library.id, facts("a.jpg", 1), content(1), Picture("image/jpeg", 1, 1, b""))]
    )
    seen = (await catalog.images.by_paths(library.id, ["a.jpg"]))["a.jpg"]
    await catalog.images.write([MoveImage(seen, library.id, facts("c.jpg", 1))])
    await catalog.images.write([MoveImage(seen, library.id, facts("b.jpg", 1))])
    assert set(await catalog.images.by_paths(library.id, ["a.jpg", "b.jpg", "c.jpg"])) == {"c.jpg"}


async def test_a_missing_image_moves_wherever_it_was_seen(catalog: Catalog) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    await catalog.images.write(
        [UpsertImage(library.id, facts("a.jpg", 1), content(1), Picture("image/jpeg", 1, 1, b""))]
    )
    seen = (await catalog.images.by_paths(library.id, ["a.jpg"]))["a.jpg"]
    await catalog.images.write(
        [MoveImage(seen, library.id, facts("c.jpg", 1)), MarkMissing(seen.id, library.id, "c.jpg")]
    )
    await catalog.images.write([MoveImage(seen, library.id, facts("b.jpg", 1))])
    found = await catalog.images.by_paths(library.id, ["a.jpg", "b.jpg", "c.jpg"])
    assert {path: image.id for path, image in found.items()} == {"b.jpg": seen.id}
