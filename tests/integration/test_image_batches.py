"""Batches of image commands in any order: paths, ids, tags and counts match an in-memory model."""

import hashlib
from random import Random

import pytest

from tagify.catalog import Catalog, ImageCommand, ImageFilter, MarkMissing, MoveImage, UpsertImage
from tagify.model import CatalogEntry, Content, FileFacts, Image, ImageId, ImageState, Library, Picture

PATHS = [f"{name}.jpg" for name in "abcdef"]


def content(number: int) -> Content:
    return Content(hashlib.sha256(str(number).encode()).hexdigest())


def entry(image_id: ImageId, library: Library, path: str) -> CatalogEntry:
    """The entry of an image at a path."""
    return CatalogEntry(image_id, library.id, facts(path, 0), ImageState.READY)


def facts(path: str, number: int) -> FileFacts:
    return FileFacts(path, 1, number, number)


class ImagesModel:
    """The expected images: contents and ids by path."""

    def __init__(self, library: Library, random: Random) -> None:
        self._library = library
        self._random = random
        self.contents: dict[str, int] = {}
        self.ids: dict[str, ImageId] = {}
        self._last_content = 0

    def batch(self) -> list[ImageCommand]:
        return [self._write() for _ in range(self._random.randint(1, 6))]

    def record_ids(self, images: dict[str, Image]) -> None:
        """Record the ids from the catalog after a batch; known ids must not change."""
        for path, image_id in self.ids.items():
            assert images[path].id == image_id
        self.ids = {path: image.id for path, image in images.items()}

    def _write(self) -> ImageCommand:
        movable = [path for path in self.ids if path in self.contents]
        choice = self._random.random()
        if movable and choice < 0.3:
            return self._move(self._random.choice(movable), self._random.choice(PATHS))
        if movable and choice < 0.5:
            path = self._random.choice(movable)
            del self.contents[path]
            return MarkMissing(self.ids.pop(path), self._library.id, path)
        self._last_content += 1
        path = self._random.choice(PATHS)
        self.contents[path] = self._last_content
        keywords = ("seen", f"k{self._last_content % 3}")
        picture = Picture("image/jpeg", 1, 1, b"", keywords=keywords)
        return UpsertImage(
            self._library.id, facts(path, self._last_content), content(self._last_content), picture
        )

    def _move(self, old: str, new: str) -> MoveImage:
        number, image_id = self.contents.pop(old), self.ids.pop(old)
        self.ids.pop(new, None)
        self.contents[new], self.ids[new] = number, image_id
        return MoveImage(entry(image_id, self._library, old), self._library.id, facts(new, number))


@pytest.mark.parametrize("seed", range(12))
async def test_sequence_of_batches_matches_the_model(catalog: Catalog, seed: int) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    model = ImagesModel(library, Random(seed))
    for _ in range(12):
        await catalog.images.write(model.batch())
        listed = await catalog.listing.newest(ImageFilter(), limit=100)
        images = {image.file.path: image for image in listed}
        assert {path: image.content for path, image in images.items()} == {
            path: content(number) for path, number in model.contents.items()
        }
        model.record_ids(images)
        expected_counts: dict[str, int] = {}
        for image in listed:
            for tag in image.tags:
                expected_counts[tag] = expected_counts.get(tag, 0) + 1
        for scope in (None, library.id):
            counts = await catalog.tags.most_used(scope, limit=100)
            assert {tag.name: tag.count for tag in counts} == expected_counts
        updated = await catalog.libraries.get(library.id)
        assert updated is not None
        assert updated.indexed_count == len(images)


async def test_move_from_an_outdated_path_is_ignored(catalog: Catalog) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    await catalog.images.write(
        [UpsertImage(library.id, facts("a.jpg", 1), content(1), Picture("image/jpeg", 1, 1, b""))]
    )
    entry_before = (await catalog.images.by_paths(library.id, ["a.jpg"]))["a.jpg"]
    await catalog.images.write([MoveImage(entry_before, library.id, facts("c.jpg", 1))])
    await catalog.images.write([MoveImage(entry_before, library.id, facts("b.jpg", 1))])
    assert set(await catalog.images.by_paths(library.id, ["a.jpg", "b.jpg", "c.jpg"])) == {"c.jpg"}


async def test_missing_image_is_restored_by_a_move(catalog: Catalog) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    await catalog.images.write(
        [UpsertImage(library.id, facts("a.jpg", 1), content(1), Picture("image/jpeg", 1, 1, b""))]
    )
    entry_before = (await catalog.images.by_paths(library.id, ["a.jpg"]))["a.jpg"]
    await catalog.images.write(
        [
            MoveImage(entry_before, library.id, facts("c.jpg", 1)),
            MarkMissing(entry_before.id, library.id, "c.jpg"),
        ]
    )
    await catalog.images.write([MoveImage(entry_before, library.id, facts("b.jpg", 1))])
    entries = await catalog.images.by_paths(library.id, ["a.jpg", "b.jpg", "c.jpg"])
    assert {path: entry.id for path, entry in entries.items()} == {"b.jpg": entry_before.id}
