"""Keyset pagination during concurrent changes: images present throughout are returned exactly once."""

import asyncio
import hashlib
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagify.catalog import Catalog, ImageFilter, ImagePage, KeysetPosition, MarkMissing, Sort, UpsertImage
from tagify.catalog.queries import listing
from tagify.model import Content, FileFacts, ImageId, ImageTile, Library, Picture

FOLDERS = ("", "a/", "a/b/", "a0/")
TAKEN = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(3)]
ROOTS = itertools.count()

property_sets = st.tuples(
    st.sampled_from(FOLDERS), st.sampled_from(TAKEN), st.sets(st.sampled_from(("x", "y", "z")), max_size=3)
)
removals = st.integers(0, 99)
change_sets = st.lists(
    st.tuples(st.lists(property_sets, max_size=3), st.lists(removals, max_size=3)), min_size=1, max_size=6
)
filters: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.sampled_from([{"tags": ("x",)}, {"tags": ("x", "y")}, {"tags": ("x", "y"), "logic": "or"}]),
    st.sampled_from([{"exclude": ("x",)}, {"tags": ("y",), "exclude": ("z",)}, {"no_tags": True}]),
)
lists = st.one_of(
    st.tuples(filters, st.sampled_from(Sort)),
    st.tuples(filters.map(lambda conditions: {**conditions, "folder": "a"}), st.just(Sort.PATH)),
    st.tuples(
        filters.map(lambda conditions: {**conditions, "taken_from": TAKEN[1], "taken_to": TAKEN[2]}),
        st.just(Sort.TAKEN_AT),
    ),
)

Properties = tuple[str, datetime, set[str]]
"""Folder, time of taking and tags of an image."""


class LibraryModel:
    """A library whose images are added and removed; `present` has the current ones by path."""

    def __init__(self, catalog: Catalog, library: Library) -> None:
        self._catalog = catalog
        self._numbers = itertools.count()
        self.library = library
        self.present: dict[str, tuple[ImageId, Properties]] = {}

    async def change(self, new: Sequence[Properties], removed: Sequence[int]) -> None:
        paths = [path for number, path in enumerate(sorted(self.present)) if number in removed]
        removals = [MarkMissing(self.present.pop(path)[0], self.library.id, path) for path in paths]
        added = {f"{properties[0]}{next(self._numbers):03}.jpg": properties for properties in new}
        if not removals and not added:
            return
        await self._catalog.images.write([*removals, *(self._upsert(*item) for item in added.items())])
        entries = await self._catalog.images.by_paths(self.library.id, list(added))
        self.present |= {path: (entry.id, added[path]) for path, entry in entries.items()}

    def matching(self, conditions: dict[str, Any]) -> set[ImageId]:
        return {
            image_id
            for path, (image_id, properties) in self.present.items()
            if _matches(path, properties, conditions)
        }

    def _upsert(self, path: str, properties: Properties) -> UpsertImage:
        number = int(path[-7:-4])
        picture = Picture(
            "image/jpeg", 4, 3, b"", taken_at=properties[1], keywords=tuple(sorted(properties[2]))
        )
        content = Content(hashlib.sha256(f"{self.library.id}{path}".encode()).hexdigest())
        return UpsertImage(self.library.id, FileFacts(path, 1, number, number + 1), content, picture)


def _matches(path: str, properties: Properties, conditions: dict[str, Any]) -> bool:
    tags, required = properties[2], set(conditions.get("tags", ()))
    return (
        (bool(required & tags) if conditions.get("logic") == "or" else required <= tags)
        and not set(conditions.get("exclude", ())) & tags
        and not (conditions.get("no_tags") and tags)
        and path.startswith("a/" if "folder" in conditions else "")
        and ("taken_from" not in conditions or TAKEN[1] <= properties[1] < TAKEN[2])
    )


async def read_all_pages(
    catalog: Catalog,
    model: LibraryModel,
    conditions: dict[str, Any],
    sort: Sort,
    change_sets: list[Any],
    backwards: bool,
) -> list[ImageTile]:
    """All tiles of a list; changes the library concurrently with each page."""
    image_filter = ImageFilter(library_id=model.library.id, **conditions)
    tiles, pending = list[ImageTile](), list(change_sets)

    async def page(position: KeysetPosition | None) -> ImagePage:
        bounds = {"before": position} if backwards else {"after": position}
        changes = model.change(*pending.pop()) if pending else asyncio.sleep(0)
        result, _ = await asyncio.gather(catalog.listing.page(image_filter, sort, limit=3, **bounds), changes)
        return result

    position = _end_position(sort) if backwards else None
    while True:
        result = await page(position)
        tiles += reversed(result.tiles) if backwards else result.tiles
        position = result.previous if backwards else result.next
        if position is None:
            return tiles


def _end_position(sort: Sort) -> KeysetPosition:
    """A position after all images."""
    values = {Sort.NEWEST: None, Sort.TAKEN_AT: datetime(1, 1, 1, tzinfo=UTC), Sort.PATH: "~"}
    return KeysetPosition(values[sort], ImageId("0" * 24))


@pytest.mark.parametrize("backwards", [False, True])
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(property_sets, max_size=25), change_sets, lists)
async def test_images_present_throughout_are_returned_exactly_once(
    catalog: Catalog,
    monkeypatch: pytest.MonkeyPatch,
    backwards: bool,
    first: list[Properties],
    change_sets: list[Any],
    filter_and_sort: tuple[dict[str, Any], Sort],
) -> None:
    conditions, sort = filter_and_sort
    monkeypatch.setattr(listing, "SCAN_FACTOR", 2)
    model = LibraryModel(catalog, await catalog.libraries.create("Test", f"/srv/{next(ROOTS)}"))
    await model.change(first, [])
    before = model.matching(conditions)
    tiles = await read_all_pages(catalog, model, conditions, sort, change_sets, backwards)
    ids = [tile.id for tile in tiles]
    assert len(set(ids)) == len(ids)
    assert before & model.matching(conditions) <= set(ids)
    paths = [tile.path for tile in tiles]
    if sort is Sort.PATH:
        assert paths == sorted(paths, reverse=backwards)
    if sort is Sort.NEWEST:
        assert ids == sorted(ids, reverse=not backwards)
