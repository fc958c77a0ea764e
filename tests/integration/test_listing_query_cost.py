"""Query cost of every kind of list that the API offers, measured by MongoDB's profiler."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from aiohttp.test_utils import make_mocked_request
from pymongo import MongoClient
from pymongo.database import Database

from api.query_params import parse_image_filter, parse_sort
from api.serializers import Serializer
from bench.lib import million_images
from tagify.catalog import Catalog, ImageFilter, ImagePage, KeysetPosition, Sort
from tagify.catalog.queries import listing
from tagify.catalog.queries.listing import SCAN_FACTOR
from tagify.errors import BadRequest
from tagify.model import LibraryId
from tagify.settings import CommonSettings
from tests.conftest import Values

LIMIT = 60
SPARE = 3
"""Index keys examined beyond those of images, per query: at the ends of intervals."""

SIZES = [(5_000, 5), pytest.param(100_000, 1, marks=pytest.mark.slow)]
"""Number of images, and step through QUERIES (5: every fifth)."""

LIBRARIES = ("", f"library_id={million_images.library_id(0)}")
TAGS = {
    "": 1,
    "tags=day": 1,
    "tags=tag 400": 1,
    "tags=day&tags=tag 000": 1,
    "tags=tag 300&tags=day&tags=2019": 1,
    "tags=day&tags=night": 1,
    "tags=2015&tags=2024": 1,
    "tags=nowhere": 1,
    "tags=day&tags=night&tags=tag 000&logic=or": 3,
    "tags=tag 100&tags=tag 200&logic=or": 2,
    "exclude=day": 1,
    "tags=day&exclude=tag 000": 1,
    "tags=day&tags=night&logic=or&exclude=tag 001": 2,
    "no_tags=1": 2,
}
"""Tag conditions, and the maximum number of index intervals that contain their images."""

ORDERS = (
    "",
    "sort=taken_at",
    "taken_from=2016-01-01&taken_to=2022-01-01",
    "sort=path",
    "path=2019",
    "sort=newest&path=2019",
    "taken_from=2016-01-01&sort=path",
    "path=2019&taken_to=2020-01-01",
)
QUERIES = [
    "&".join(filter(None, parts)).replace(" ", "%20") for parts in itertools.product(LIBRARIES, TAGS, ORDERS)
]


class Profiler:
    """Profiler entries for the queries of one collection."""

    def __init__(self, database: Database[dict[str, Any]], collection: str = "images") -> None:
        self._database = database
        self._name = f"{database.name}.{collection}"

    def start(self) -> None:
        self._database.command("profile", 0)
        self._database.drop_collection("system.profile")
        self._database.command("profile", 2)

    def stop(self) -> list[dict[str, Any]]:
        self._database.command("profile", 0)
        return list(self._database.system.profile.find({"ns": self._name}))


@pytest.fixture
def filled(images: int, mongo_values: Values) -> Iterator[Database[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo_values["mongo_uri"], w=1, tz_aware=True) as client:
        database = client.get_database(mongo_values["mongo_database"])
        million_images.fill(database, images)
        yield database


@pytest.mark.parametrize(("images", "every"), SIZES)
async def test_lists_examine_at_most_a_small_multiple_of_a_page(
    filled: Database[dict[str, Any]], mongo_values: Values, every: int
) -> None:
    catalog = Catalog(CommonSettings(**mongo_values))
    await catalog.ensure_indexes()
    middle = filled.images.find_one({"path": {"$regex": "^2019/"}}, skip=200)  # within every range in ORDERS
    assert middle is not None
    profiler, rejected = Profiler(filled), []
    try:
        for query in QUERIES[::every]:
            request = make_mocked_request("GET", f"/api/images?{query}")
            try:
                image_filter = parse_image_filter(request)
                sort = parse_sort(request, image_filter)
            except BadRequest as error:
                rejected.append(error.detail)
                continue
            position = _position(sort, middle)
            for after, before in ((None, None), (position, None), (None, position)):
                profiler.start()
                page = await catalog.listing.page(image_filter, sort, after=after, before=before, limit=LIMIT)
                _assert_cheap(query, image_filter, page, profiler.stop())
    finally:
        await catalog.close()
    assert len(set(rejected)) == 5
    assert all("add `library_id`" in reason or "no index supports" in reason for reason in rejected), rejected


def _position(sort: Sort, doc: dict[str, Any]) -> KeysetPosition:
    values = {Sort.NEWEST: None, Sort.TAKEN_AT: doc["taken_at"], Sort.PATH: doc["path"]}
    return KeysetPosition(values[sort], str(doc["_id"]))  # type: ignore[arg-type]


def _assert_cheap(
    query: str, image_filter: ImageFilter, page: ImagePage, entries: list[dict[str, Any]]
) -> None:
    intervals = next(number for text, number in reversed(TAGS.items()) if text.replace(" ", "%20") in query)
    has_residual_filter = bool(image_filter.exclude) or (
        image_filter.logic == "and" and len(image_filter.tags) > 1
    )
    examined = sum(entry["docsExamined"] for entry in entries)
    keys = sum(entry["keysExamined"] for entry in entries)
    max_examined = 2 * SCAN_FACTOR * LIMIT if has_residual_filter else LIMIT + 1
    assert examined <= max_examined, (query, entries)
    assert keys <= intervals * (2 * max_examined + SPARE * len(entries)), (query, keys, entries)
    assert not any(entry.get("hasSortStage") for entry in entries), (query, entries)
    assert all(entry["planSummary"].startswith("IXSCAN") for entry in entries), (query, entries)
    if not has_residual_filter:
        assert examined <= len(page.tiles) + 1, (query, entries)


@pytest.mark.parametrize("images", [5_000])
async def test_list_by_offset_examines_a_bounded_number_of_images(
    filled: Database[dict[str, Any]], mongo_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_OFFSET_SCAN", 1000)
    catalog = Catalog(CommonSettings(**mongo_values))
    await catalog.ensure_indexes()
    profiler, offset = Profiler(filled), 100
    try:
        for query in (query for query in QUERIES if not re.search("sort|path|taken", query)):
            image_filter = parse_image_filter(make_mocked_request("GET", f"/api/images?{query}"))
            profiler.start()
            images_listed = await catalog.listing.newest(image_filter, offset=offset, limit=LIMIT)
            entries = profiler.stop()
            has_residual_filter = bool(image_filter.exclude) or (
                image_filter.logic == "and" and len(image_filter.tags) > 1
            )
            examined = sum(entry["docsExamined"] for entry in entries)
            assert examined <= (1000 if has_residual_filter else offset + LIMIT), (query, entries)
            assert not any(entry.get("hasSortStage") for entry in entries), (query, entries)
            assert len(images_listed) == LIMIT or examined < 1000 or has_residual_filter, (query, entries)
        # Pages by offset are parts of one list.
        two_tags = ImageFilter(tags=("day", "tag 000"))
        whole = [image.id for image in await catalog.listing.newest(two_tags, limit=1000)]
        parts = [
            image.id
            for start in range(0, 1000, 50)
            for image in await catalog.listing.newest(two_tags, offset=start, limit=50)
        ]
        assert 0 < len(whole) < 1000
        assert parts == whole
    finally:
        await catalog.close()


@pytest.mark.parametrize("images", [5_000])
async def test_tag_lists_are_read_from_an_index_and_not_recounted(
    filled: Database[dict[str, Any]], mongo_values: Values
) -> None:
    catalog = Catalog(CommonSettings(**mongo_values))
    await catalog.ensure_indexes()
    tag_profiler, image_profiler = Profiler(filled, "tags"), Profiler(filled)
    try:
        for library in (None, LibraryId(str(million_images.library_id(0)))):
            for prefix, limit in (("", 500), ("", 20), ("t", 20), ("TAG 1", 20), ("tag 10", 5), ("x", 20)):
                tag_profiler.start()
                tag_usages = await catalog.tags.most_used(library, prefix=prefix, limit=limit)
                (entry,) = tag_profiler.stop()
                assert entry["op"] == "query"
                assert entry["planSummary"].startswith("IXSCAN"), entry
                assert entry["keysExamined"] <= len(tag_usages) + 1, (prefix, entry)
                assert not entry.get("hasSortStage"), entry
                # A covered query for the tags of a library without prefix.
                max_examined = 0 if library and not prefix else len(tag_usages)
                assert entry["docsExamined"] <= max_examined, (prefix, entry)
                assert image_profiler.stop() == []
    finally:
        await catalog.close()


@pytest.mark.parametrize("images", [500])
async def test_item_of_a_list_is_small(filled: Database[dict[str, Any]], mongo_values: Values) -> None:
    catalog = Catalog(CommonSettings(**mongo_values))
    await catalog.ensure_indexes()
    page = await catalog.listing.page(ImageFilter(), limit=200)
    await catalog.close()
    items = Serializer("https://media.example.org", (160, 320, 512, 1024))
    sizes = [len(orjson.dumps(items.tile(tile))) for tile in page.tiles]
    assert len(page.tiles[0].placeholder) == 25
    assert len(sizes) == 200
    assert sum(sizes) / len(sizes) < 350
    assert filled.images.count_documents({}) == 500
