"""What every list that the API can be asked for costs the server, as its own profiler counts it."""

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
"""Keys beyond those of the images: where one interval of an index ends and the next begins."""

SIZES = [(5_000, 5), pytest.param(100_000, 1, marks=pytest.mark.slow)]
"""Images, and every which of the lists is asked for."""

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
"""What a filter says of tags, and the intervals of an index in which its images are, at most."""

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


class Costs:
    """What the server's profiler says of the questions about a collection since it was last asked."""

    def __init__(self, database: Database[dict[str, Any]], collection: str = "images") -> None:
        self._database = database
        self._name = f"{database.name}.{collection}"

    def begin(self) -> None:
        self._database.command("profile", 0)
        self._database.drop_collection("system.profile")
        self._database.command("profile", 2)

    def taken(self) -> list[dict[str, Any]]:
        self._database.command("profile", 0)
        return list(self._database.system.profile.find({"ns": self._name}))


@pytest.fixture
def filled(images: int, mongo_values: Values) -> Iterator[Database[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo_values["mongo_uri"], w=1, tz_aware=True) as client:
        database = client.get_database(mongo_values["mongo_database"])
        million_images.fill(database, images)
        yield database


@pytest.mark.parametrize(("images", "every"), SIZES)
async def test_no_list_examines_more_than_a_small_multiple_of_a_page(
    filled: Database[dict[str, Any]], mongo_values: Values, every: int
) -> None:
    catalog = Catalog(CommonSettings(**mongo_values))
    await catalog.ensure_indexes()
    middle = filled.images.find_one(
        {"path": {"$regex": "^2019/"}}, skip=200
    )  # in every range that is asked for
    assert middle is not None
    costs, refused = Costs(filled), []
    try:
        for query in QUERIES[::every]:
            asked = make_mocked_request("GET", f"/api/images?{query}")
            try:
                which = parse_image_filter(asked)
                sort = parse_sort(asked, which)
            except BadRequest as error:
                refused.append(error.detail)
                continue
            place = _place(sort, middle)
            for after, before in ((None, None), (place, None), (None, place)):
                costs.begin()
                page = await catalog.listing.page(which, sort, after=after, before=before, limit=LIMIT)
                _is_cheap(query, which, page, costs.taken())
    finally:
        await catalog.close()
    assert len(set(refused)) == 5
    assert all("give library_id too" in reason or "index serves" in reason for reason in refused), refused


def _place(sort: Sort, doc: dict[str, Any]) -> KeysetPosition:
    values = {Sort.NEWEST: None, Sort.TAKEN_AT: doc["taken_at"], Sort.PATH: doc["path"]}
    return KeysetPosition(values[sort], str(doc["_id"]))  # type: ignore[arg-type]


def _is_cheap(query: str, which: ImageFilter, page: ImagePage, costs: list[dict[str, Any]]) -> None:
    intervals = next(number for text, number in reversed(TAGS.items()) if text.replace(" ", "%20") in query)
    sifted = bool(which.exclude) or (which.logic == "and" and len(which.tags) > 1)
    examined = sum(cost["docsExamined"] for cost in costs)
    keys = sum(cost["keysExamined"] for cost in costs)
    most = 2 * SCAN_FACTOR * LIMIT if sifted else LIMIT + 1
    assert examined <= most, (query, costs)
    assert keys <= intervals * (2 * most + SPARE * len(costs)), (query, keys, costs)
    assert not any(cost.get("hasSortStage") for cost in costs), (query, costs)
    assert all(cost["planSummary"].startswith("IXSCAN") for cost in costs), (query, costs)
    if not sifted:
        assert examined <= len(page.tiles) + 1, (query, costs)


@pytest.mark.parametrize("images", [5_000])
async def test_a_list_by_offset_looks_at_a_bounded_number_of_images(
    filled: Database[dict[str, Any]], mongo_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_OFFSET_SCAN", 1000)
    catalog = Catalog(CommonSettings(**mongo_values))
    await catalog.ensure_indexes()
    costs, offset = Costs(filled), 100
    try:
        for query in (query for query in QUERIES if not re.search("sort|path|taken", query)):
            which = parse_image_filter(make_mocked_request("GET", f"/api/images?{query}"))
            costs.begin()
            found = await catalog.listing.newest(which, offset=offset, limit=LIMIT)
            taken = costs.taken()
            sifted = bool(which.exclude) or (which.logic == "and" and len(which.tags) > 1)
            examined = sum(cost["docsExamined"] for cost in taken)
            assert examined <= (1000 if sifted else offset + LIMIT), (query, taken)
            assert not any(cost.get("hasSortStage") for cost in taken), (query, taken)
            assert len(found) == LIMIT or examined < 1000 or sifted, (query, taken)
        # It is the same list whatever the offset.
        both = ImageFilter(tags=("day", "tag 000"))
        whole = [image.id for image in await catalog.listing.newest(both, limit=1000)]
        parts = [
            image.id
            for start in range(0, 1000, 50)
            for image in await catalog.listing.newest(both, offset=start, limit=50)
        ]
        assert 0 < len(whole) < 1000
        assert parts == whole
    finally:
        await catalog.close()


@pytest.mark.parametrize("images", [5_000])
async def test_lists_of_tags_are_read_from_an_index_and_never_counted(
    filled: Database[dict[str, Any]], mongo_values: Values
) -> None:
    catalog = Catalog(CommonSettings(**mongo_values))
    await catalog.ensure_indexes()
    tags, images = Costs(filled, "tags"), Costs(filled)
    try:
        for library in (None, LibraryId(str(million_images.library_id(0)))):
            for prefix, limit in (("", 500), ("", 20), ("t", 20), ("TAG 1", 20), ("tag 10", 5), ("x", 20)):
                tags.begin()
                found = await catalog.tags.most_used(library, prefix=prefix, limit=limit)
                (cost,) = tags.taken()
                assert cost["op"] == "query"
                assert cost["planSummary"].startswith("IXSCAN"), cost
                assert cost["keysExamined"] <= len(found) + 1, (prefix, cost)
                assert not cost.get("hasSortStage"), cost
                # Of a library the index says all that is told, where no prefix is given.
                most = 0 if library and not prefix else len(found)
                assert cost["docsExamined"] <= most, (prefix, cost)
                assert images.taken() == []
    finally:
        await catalog.close()


@pytest.mark.parametrize("images", [500])
async def test_an_item_of_a_list_is_small(filled: Database[dict[str, Any]], mongo_values: Values) -> None:
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
