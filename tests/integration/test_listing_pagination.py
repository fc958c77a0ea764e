"""Walking over all pages while ingest adds and removes: what was there throughout comes exactly once."""

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

looks = st.tuples(
    st.sampled_from(FOLDERS), st.sampled_from(TAKEN), st.sets(st.sampled_from(("x", "y", "z")), max_size=3)
)
removals = st.integers(0, 99)
storms = st.lists(
    st.tuples(st.lists(looks, max_size=3), st.lists(removals, max_size=3)), min_size=1, max_size=6
)
filters: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.sampled_from([{"tags": ("x",)}, {"tags": ("x", "y")}, {"tags": ("x", "y"), "logic": "or"}]),
    st.sampled_from([{"exclude": ("x",)}, {"tags": ("y",), "exclude": ("z",)}, {"no_tags": True}]),
)
lists = st.one_of(
    st.tuples(filters, st.sampled_from(Sort)),
    st.tuples(filters.map(lambda which: {**which, "folder": "a"}), st.just(Sort.PATH)),
    st.tuples(
        filters.map(lambda which: {**which, "taken_from": TAKEN[1], "taken_to": TAKEN[2]}),
        st.just(Sort.TAKEN_AT),
    ),
)

Look = tuple[str, datetime, set[str]]


class Shelf:
    """A library whose images come and go; what is there, by path."""

    def __init__(self, catalog: Catalog, library: Library) -> None:
        self._catalog = catalog
        self._numbers = itertools.count()
        self.library = library
        self.there: dict[str, tuple[ImageId, Look]] = {}

    async def work(self, new: Sequence[Look], removed: Sequence[int]) -> None:
        paths = [path for number, path in enumerate(sorted(self.there)) if number in removed]
        gone = [MarkMissing(self.there.pop(path)[0], self.library.id, path) for path in paths]
        stores = {f"{look[0]}{next(self._numbers):03}.jpg": look for look in new}
        if not gone and not stores:
            return
        await self._catalog.images.write([*gone, *(self._store(*item) for item in stores.items())])
        found = await self._catalog.images.by_paths(self.library.id, list(stores))
        self.there |= {path: (entry.id, stores[path]) for path, entry in found.items()}

    def meant(self, which: dict[str, Any]) -> set[ImageId]:
        return {name for path, (name, look) in self.there.items() if _is_meant(path, look, which)}

    def _store(self, path: str, look: Look) -> UpsertImage:
        number = int(path[-7:-4])
        picture = Picture("image/jpeg", 4, 3, b"", taken_at=look[1], keywords=tuple(sorted(look[2])))
        content = Content(hashlib.sha256(f"{self.library.id}{path}".encode()).hexdigest())
        return UpsertImage(self.library.id, FileFacts(path, 1, number, number + 1), content, picture)


def _is_meant(path: str, look: Look, which: dict[str, Any]) -> bool:
    tags, asked = look[2], set(which.get("tags", ()))
    return (
        (bool(asked & tags) if which.get("logic") == "or" else asked <= tags)
        and not set(which.get("exclude", ())) & tags
        and not (which.get("no_tags") and tags)
        and path.startswith("a/" if "folder" in which else "")
        and ("taken_from" not in which or TAKEN[1] <= look[1] < TAKEN[2])
    )


async def walk(
    catalog: Catalog, shelf: Shelf, which: dict[str, Any], sort: Sort, storms: list[Any], backwards: bool
) -> list[ImageTile]:
    """All tiles from one end to the other, a storm of changes beside each page."""
    asked, tiles, waiting = ImageFilter(library_id=shelf.library.id, **which), list[ImageTile](), list(storms)

    async def page(place: KeysetPosition | None) -> ImagePage:
        ends = {"before": place} if backwards else {"after": place}
        storm = shelf.work(*waiting.pop()) if waiting else asyncio.sleep(0)
        found, _ = await asyncio.gather(catalog.listing.page(asked, sort, limit=3, **ends), storm)
        return found

    place = await _last(catalog, asked, sort) if backwards else None
    while True:
        found = await page(place)
        tiles += reversed(found.tiles) if backwards else found.tiles
        place = found.previous if backwards else found.next
        if place is None:
            return tiles


async def _last(catalog: Catalog, asked: ImageFilter, sort: Sort) -> KeysetPosition:
    """A place behind all images."""
    values = {Sort.NEWEST: None, Sort.TAKEN_AT: datetime(1, 1, 1, tzinfo=UTC), Sort.PATH: "~"}
    return KeysetPosition(values[sort], ImageId("0" * 24))


@pytest.mark.parametrize("backwards", [False, True])
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(looks, max_size=25), storms, lists)
async def test_what_was_there_throughout_comes_exactly_once(
    catalog: Catalog,
    monkeypatch: pytest.MonkeyPatch,
    backwards: bool,
    first: list[Look],
    storms: list[Any],
    asked: tuple[dict[str, Any], Sort],
) -> None:
    which, sort = asked
    monkeypatch.setattr(listing, "SCAN_FACTOR", 2)
    shelf = Shelf(catalog, await catalog.libraries.create("Test", f"/srv/{next(ROOTS)}"))
    await shelf.work(first, [])
    before = shelf.meant(which)
    tiles = await walk(catalog, shelf, which, sort, storms, backwards)
    seen = [tile.id for tile in tiles]
    assert len(set(seen)) == len(seen)
    assert before & shelf.meant(which) <= set(seen)
    paths = [tile.path for tile in tiles]
    if sort is Sort.PATH:
        assert paths == sorted(paths, reverse=backwards)
    if sort is Sort.NEWEST:
        assert seen == sorted(seen, reverse=not backwards)
