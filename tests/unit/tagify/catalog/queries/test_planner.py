"""How a list is read: which tag leads, and which parts of an order a walk goes through."""

import operator
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from tagify.catalog import ImageFilter, KeysetPosition, Sort
from tagify.catalog.queries.keyset import ORDERS, SortOrder
from tagify.catalog.queries.planner import QueryPlan, TagStats, plan_query
from tagify.model import ImageId, LibraryId

KNOWN = {
    "sea": TagStats(("Sea",), 500),
    "sun": TagStats(("sun",), 20),
    "rain": TagStats(("rain",), 7000),
    "snow": TagStats(("Snow", "SNOW"), 100),
}


def plan(sort: Sort = Sort.NEWEST, **which: Any) -> QueryPlan:
    found = plan_query(ImageFilter(**which), sort, KNOWN)
    assert found is not None
    return found


def test_of_tags_that_must_all_be_there_the_rarest_leads() -> None:
    found = plan(tags=("rain", "SEA", "sun"))
    assert (found.index, found.indexed_filter["tags"], found.max_matches) == ("tag_newest", "sun", 20)
    assert found.residual_filter == {"$nor": [{"tags": {"$nin": ("Sea",)}}, {"tags": {"$nin": ("rain",)}}]}


def test_a_tag_that_nothing_carries_ends_an_and_and_is_left_out_of_an_or() -> None:
    assert plan_query(ImageFilter(tags=("sea", "nowhere")), Sort.NEWEST, KNOWN) is None
    assert plan_query(ImageFilter(tags=("nowhere",), logic="or"), Sort.NEWEST, KNOWN) is None
    assert plan(tags=("sea", "nowhere"), logic="or").indexed_filter["tags"] == "Sea"
    assert plan(tags=("sea", "sun"), logic="or").indexed_filter["tags"] == {"$in": ["sun", "Sea"]}
    assert plan(exclude=("nowhere",)).residual_filter == {}


def test_a_tag_that_is_being_respelt_is_looked_for_in_each_spelling() -> None:
    both = {"$in": ["Snow", "SNOW"]}
    assert plan(tags=("snow", "sea")).indexed_filter["tags"] == both
    assert plan(tags=("snow", "sun")).residual_filter == {"$nor": [{"tags": {"$nin": ("Snow", "SNOW")}}]}
    assert plan(exclude=("snow",)).residual_filter == {"$nor": [{"tags": both}]}
    assert plan(tags=("snow", "sun"), logic="or").indexed_filter["tags"] == {"$in": ["sun", "Snow", "SNOW"]}


def test_each_list_has_its_index() -> None:
    library = LibraryId("0" * 24)
    assert plan().index == "newest"
    assert plan(Sort.TAKEN_AT, tags=("sea",)).index == "tag_taken"
    assert plan(Sort.PATH, library_id=library, no_tags=True).index == "library_tag_path"
    assert plan(Sort.PATH, library_id=library, exclude=("sea",)).index == "library_path"


VALUES = st.sampled_from(["a", "b", "c"])
IDS = st.integers(0, 3).map(lambda number: ImageId(f"{number:024x}"))
COMPARED = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}


def _matches(doc: dict[str, Any], query: dict[str, Any]) -> bool:
    return all(
        all(COMPARED[name](doc[field], limit) for name, limit in wanted.items())
        if isinstance(wanted, dict)
        else doc[field] == wanted
        for field, wanted in query.items()
    )


@pytest.mark.parametrize(
    "order", [SortOrder("x", "value", 1), SortOrder("x", "value", -1), ORDERS[Sort.NEWEST]]
)
@given(
    st.lists(st.tuples(VALUES, IDS), unique=True),
    st.none() | st.builds(KeysetPosition, VALUES, IDS),
    st.none() | st.builds(KeysetPosition, VALUES, IDS),
    st.booleans(),
)
def test_the_legs_of_a_walk_are_what_lies_between_two_places(
    order: SortOrder,
    pairs: list[tuple[str, ImageId]],
    start: KeysetPosition | None,
    end: KeysetPosition | None,
    forward: bool,
) -> None:
    def key(value: Any, name: str) -> tuple[Any, str]:
        return (value if order.field else "", name)

    docs = [{"value": value, "_id": ObjectId(name)} for value, name in pairs]
    if order.field is None:
        docs = list({doc["_id"]: doc for doc in docs}.values())
    up = (order.direction > 0) is forward
    docs.sort(key=lambda doc: key(doc["value"], str(doc["_id"])), reverse=not up)
    first, last = (None if place is None else key(place.value, place.id) for place in (start, end))

    def meant(doc: dict[str, Any]) -> bool:
        here = key(doc["value"], str(doc["_id"]))
        behind = first is None or (here > first if up else here < first)
        return behind and (last is None or (here <= last if up else here >= last))

    if first is not None and last is not None and (first > last if up else first < last):
        return  # a walk never ends before it starts
    walked = [
        doc
        for leg in order.ranges(start, end, forward)
        for doc in sorted(
            (doc for doc in docs if _matches(doc, leg.filter)),
            key=lambda doc: [doc[name] for name, _ in leg.sort],
            reverse=not up,
        )
    ]
    assert walked == [doc for doc in docs if meant(doc)]
