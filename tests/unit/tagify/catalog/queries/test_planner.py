"""The query planner: which tag is looked up in the index, and which index ranges a page reads."""

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

TAG_STATS = {
    "sea": TagStats(("Sea",), 500),
    "sun": TagStats(("sun",), 20),
    "rain": TagStats(("rain",), 7000),
    "snow": TagStats(("Snow", "SNOW"), 100),
}


def plan(sort: Sort = Sort.NEWEST, **conditions: Any) -> QueryPlan:
    query_plan = plan_query(ImageFilter(**conditions), sort, TAG_STATS)
    assert query_plan is not None
    return query_plan


def test_rarest_of_required_tags_is_the_indexed_one() -> None:
    query_plan = plan(tags=("rain", "SEA", "sun"))
    assert (query_plan.index, query_plan.indexed_filter["tags"], query_plan.max_matches) == (
        "tag_newest",
        "sun",
        20,
    )
    assert query_plan.residual_filter == {
        "$nor": [{"tags": {"$nin": ("Sea",)}}, {"tags": {"$nin": ("rain",)}}]
    }


def test_unused_tag_makes_an_and_empty_and_is_ignored_in_an_or() -> None:
    assert plan_query(ImageFilter(tags=("sea", "nowhere")), Sort.NEWEST, TAG_STATS) is None
    assert plan_query(ImageFilter(tags=("nowhere",), logic="or"), Sort.NEWEST, TAG_STATS) is None
    assert plan(tags=("sea", "nowhere"), logic="or").indexed_filter["tags"] == "Sea"
    assert plan(tags=("sea", "sun"), logic="or").indexed_filter["tags"] == {"$in": ["sun", "Sea"]}
    assert plan(exclude=("nowhere",)).residual_filter == {}


def test_tag_being_respelled_matches_all_spellings() -> None:
    both = {"$in": ["Snow", "SNOW"]}
    assert plan(tags=("snow", "sea")).indexed_filter["tags"] == both
    assert plan(tags=("snow", "sun")).residual_filter == {"$nor": [{"tags": {"$nin": ("Snow", "SNOW")}}]}
    assert plan(exclude=("snow",)).residual_filter == {"$nor": [{"tags": both}]}
    assert plan(tags=("snow", "sun"), logic="or").indexed_filter["tags"] == {"$in": ["sun", "Snow", "SNOW"]}


def test_each_kind_of_list_has_an_index() -> None:
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
        all(COMPARED[name](doc[field], limit) for name, limit in condition.items())
        if isinstance(condition, dict)
        else doc[field] == condition
        for field, condition in query.items()
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
def test_ranges_contain_the_documents_between_two_positions(
    order: SortOrder,
    pairs: list[tuple[str, ImageId]],
    start: KeysetPosition | None,
    end: KeysetPosition | None,
    forward: bool,
) -> None:
    def key(value: Any, doc_id: str) -> tuple[Any, str]:
        return (value if order.field else "", doc_id)

    docs = [{"value": value, "_id": ObjectId(doc_id)} for value, doc_id in pairs]
    if order.field is None:
        docs = list({doc["_id"]: doc for doc in docs}.values())
    ascending = (order.direction > 0) is forward
    docs.sort(key=lambda doc: key(doc["value"], str(doc["_id"])), reverse=not ascending)
    first, last = (
        None if position is None else key(position.value, position.id) for position in (start, end)
    )

    def is_between(doc: dict[str, Any]) -> bool:
        doc_key = key(doc["value"], str(doc["_id"]))
        after_start = first is None or (doc_key > first if ascending else doc_key < first)
        return after_start and (last is None or (doc_key <= last if ascending else doc_key >= last))

    if first is not None and last is not None and (first > last if ascending else first < last):
        return  # the end never precedes the start
    read = [
        doc
        for index_range in order.ranges(start, end, forward)
        for doc in sorted(
            (doc for doc in docs if _matches(doc, index_range.filter)),
            key=lambda doc: [doc[name] for name, _ in index_range.sort],
            reverse=not ascending,
        )
    ]
    assert read == [doc for doc in docs if is_between(doc)]
