"""One rule for counts: the ready images that have the tag, as its list shows, whatever happens to them."""

import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient

from tagify.catalog import Catalog, ImageFilter, MarkMissing, UpsertImage
from tagify.cli.main import main
from tagify.model import Content, FileFacts, ImageId, ImageState, Library, Picture
from tagify.tagnames import tag_key
from tests.conftest import Values
from tests.support.catalog_fixtures import assert_counts_exact, insert_images, remove_library

WORDS = ("sea", "Sea", "sun", "SUN")
FILES = 4
files = st.integers(0, FILES - 1)
words = st.lists(st.sampled_from(WORDS), max_size=2, unique_by=tag_key)
steps = st.one_of(
    st.tuples(st.just("decoded"), files, words),
    st.tuples(st.just("failed"), files),
    st.tuples(st.just("missing"), files),
    st.tuples(st.just("change"), st.sets(files, min_size=1), words, words),
    st.tuples(st.just("rename"), st.sampled_from(WORDS), st.sampled_from(WORDS)),
)


class Scenario:
    """Four files of one library, which are decoded, fail, disappear and are tagged."""

    def __init__(self, catalog: Catalog, library: Library) -> None:
        self.catalog = catalog
        self.library = library
        self.ids: dict[int, ImageId] = {}

    async def run(self, kind: str, *arguments: Any) -> None:
        await getattr(self, f"_{kind}")(*arguments)

    async def _decoded(self, number: int, keywords: list[str]) -> None:
        content = Content(hashlib.sha256(f"{self.library.id}{number}".encode()).hexdigest())
        picture = Picture("image/jpeg", 1, 1, b"", keywords=tuple(keywords))
        await self._upsert(number, content, picture, "")

    async def _failed(self, number: int) -> None:
        await self._upsert(number, None, None, "not an image")

    async def _upsert(self, number: int, content: Content | None, picture: Any, error: str) -> None:
        facts = FileFacts(f"{number}.jpg", 1, 1, number + 1)
        await self.catalog.images.write([UpsertImage(self.library.id, facts, content, picture, error)])
        found = await self.catalog.images.by_paths(self.library.id, [facts.path])
        self.ids[number] = found[facts.path].id

    async def _missing(self, number: int) -> None:
        if number in self.ids:
            command = MarkMissing(self.ids[number], self.library.id, f"{number}.jpg")
            await self.catalog.images.write([command])

    async def _change(self, numbers: set[int], add: list[str], remove: list[str]) -> None:
        chosen = [self.ids[number] for number in sorted(numbers) if number in self.ids]
        await self.catalog.tags.change(chosen, add, remove)

    async def _rename(self, source: str, target: str) -> None:
        used = {tag_key(tag.name) for tag in await self.catalog.tags.most_used(limit=100)}
        if tag_key(source) not in used:
            return
        await self.catalog.tag_jobs.enqueue_rename(source, target, None)
        claimed = await self.catalog.tag_jobs.acquire_oldest()
        assert claimed is not None
        while await self.catalog.tag_jobs.run_step(claimed):
            pass


async def assert_counts_are_lists(catalog: Catalog, library: Library) -> None:
    """Assert that each count is the length of its list, in the library and over all."""
    await assert_counts_exact(catalog)
    for scope in (None, library.id):
        counts = {tag.name: tag.count for tag in await catalog.tags.most_used(scope, limit=100)}
        ready = await catalog.listing.newest(ImageFilter(library_id=scope), limit=1000)
        assert counts.keys() == {tag for image in ready for tag in image.tags}
        for name, count in counts.items():
            listed = await catalog.listing.newest(ImageFilter(library_id=scope, tags=(name,)), limit=1000)
            assert len(listed) == count, name
    stored = await catalog.libraries.get(library.id)
    assert stored is not None
    assert stored.indexed_count == len(
        await catalog.listing.newest(ImageFilter(library_id=library.id), limit=1000)
    )


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sequence=st.lists(steps, min_size=1, max_size=14))
@example(
    sequence=[
        ("failed", 0),
        ("change", {0}, ["Sea"], []),
        ("decoded", 1, ["sea"]),
        ("decoded", 0, []),
        ("failed", 1),
        ("missing", 0),
        ("decoded", 1, []),
        ("decoded", 0, ["SUN"]),
    ]
)
async def test_every_count_is_the_length_of_its_list(
    catalog: Catalog, sequence: list[tuple[Any, ...]]
) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    scenario = Scenario(catalog, library)
    try:
        for kind, *arguments in sequence:
            await scenario.run(kind, *arguments)
            await assert_counts_are_lists(catalog, library)
    finally:
        await remove_library(catalog, library)
        while await catalog.images.delete_missing(datetime(9999, 1, 1, tzinfo=UTC)):
            pass


async def test_failed_images_are_listed_by_a_tag_that_no_ready_image_has(catalog: Catalog) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    scenario = Scenario(catalog, library)
    for number in range(3):
        await scenario.run("failed", number)
    await scenario.run("change", {0, 1}, ["sea"], [])
    await scenario.run("change", {1}, ["sun"], [])
    assert await catalog.tags.most_used(limit=10) == []
    for tags, logic, number in ((("sea",), "and", 2), (("sea", "sun"), "and", 1), (("sea", "sun"), "or", 2)):
        image_filter = ImageFilter(tags=tags, logic=logic, state=ImageState.FAILED)  # type: ignore[arg-type]
        page = await catalog.listing.page(image_filter, limit=10)
        assert len(page.tiles) == number
        assert len(await catalog.listing.newest(image_filter, limit=10)) == number


async def test_counts_of_an_older_catalog_are_repaired(
    catalog: Catalog,
    mongo_values: Values,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """An older catalog counted the tags of failed images."""
    library = await catalog.libraries.create("Test", "/srv/test")
    await insert_images(catalog, library, 497, "sea")
    await catalog.images.write([UpsertImage(library.id, FileFacts("failed.jpg", 1, 1, 9000), error="x")])
    (failed,) = await catalog.listing.newest(ImageFilter(state=ImageState.FAILED), limit=2)
    await catalog.tags.change([failed.id], ["sea", "only here"], [])

    def age() -> None:
        with MongoClient[dict[str, Any]](mongo_values["mongo_uri"]) as client:
            tags = client[mongo_values["mongo_database"]].tags
            tags.update_many({"key": "sea"}, {"$inc": {"count": 1}})
            for scope in (
                None,
                *(doc["_id"] for doc in client[mongo_values["mongo_database"]].libraries.find()),
            ):
                doc_id = {"library_id": scope, "key": "only here"}
                tags.insert_one({"_id": doc_id, **doc_id, "name": "only here", "count": 1})

    await asyncio.to_thread(age)
    assert len(await catalog.count_verifier.verify()) == 4
    for name, value in mongo_values.items():
        monkeypatch.setenv(f"TAGIFY_{name.upper()}", value)
    await asyncio.to_thread(main, ["tags", "--data-dir", str(tmp_path), "verify", "--repair"])
    await assert_counts_are_lists(catalog, library)
    assert [(tag.name, tag.count) for tag in await catalog.tags.most_used(limit=10)] == [("sea", 497)]
