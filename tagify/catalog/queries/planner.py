"""Query planner: each list is read from one index, named by a hint, without an in-memory sort.

MongoDB's planner chooses an index by a short trial and caches the choice for other tags too. We know
more: the counts of all tags are stored. Of several required tags the rarest one is looked up in the
index, and the others are checked on its images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagify.catalog.mapping import object_id
from tagify.catalog.queries.filters import ImageFilter, Sort
from tagify.catalog.queries.keyset import ORDERS, SortOrder
from tagify.tagnames import tag_key

Doc = dict[str, Any]

# "/" is followed by "0" in ASCII: all paths below a folder lie between the two.
_AFTER_SLASH = chr(ord("/") + 1)


@dataclass(frozen=True, slots=True)
class TagStats:
    """The spellings of a tag on images (several only while it is being renamed), and its count.

    The count is None in lists of images that are not ready: their tags are not counted.
    """

    spellings: tuple[str, ...]
    count: int | None


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """An index, the filter it serves, and the residual filter that is checked on each document (often empty).

    `max_matches` is the maximum number of images that match `indexed_filter`; None if unknown.
    """

    index: str
    indexed_filter: Doc
    residual_filter: Doc
    order: SortOrder
    max_matches: int | None = None


def index_name(order: SortOrder, *, library: bool, tags: bool) -> str:
    """The name of the index of a sort order: over all images, per library, per tag, or per both."""
    return "_".join([*(["library"] if library else []), *(["tag"] if tags else []), order.name])


def plan_query(image_filter: ImageFilter, sort: Sort, tag_stats: Mapping[str, TagStats]) -> QueryPlan | None:
    """The plan of a list; None if no image can match. `tag_stats`: the tags in use, by key."""
    order = ORDERS[sort]
    indexed: Doc = {"state": image_filter.state.value}
    if image_filter.library_id:
        indexed["library_id"] = object_id(image_filter.library_id)
    tags = _tag_conditions(image_filter, tag_stats)
    if tags is None:
        return None
    indexed |= tags.indexed_filter | _range_conditions(image_filter)
    index = index_name(order, library=image_filter.library_id is not None, tags="tags" in indexed)
    return QueryPlan(index, indexed, tags.residual_filter, order, tags.max_matches)


@dataclass(frozen=True, slots=True)
class _TagConditions:
    """The conditions on tags, divided as in QueryPlan."""

    indexed_filter: Doc
    residual_filter: Doc
    max_matches: int | None = None


def _tag_conditions(image_filter: ImageFilter, tag_stats: Mapping[str, TagStats]) -> _TagConditions | None:
    excluded_keys = [key for key in map(tag_key, image_filter.exclude) if key in tag_stats]
    excluded = [name for key in excluded_keys for name in tag_stats[key].spellings]
    # Under $nor, because MongoDB derives no index bounds from it: the rarest tag stays the indexed one.
    residual: list[Doc] = [{"tags": {"$in": excluded}}] if excluded else []
    if image_filter.no_tags:
        return _TagConditions({"tags": []}, {})
    if not image_filter.tags:
        return _TagConditions({}, _nor(residual))
    keys = dict.fromkeys(map(tag_key, image_filter.tags))
    by_count = sorted((tag_stats[key] for key in keys if key in tag_stats), key=lambda tag: tag.count or 0)
    if not by_count or (image_filter.logic == "and" and len(by_count) < len(keys)):
        return None
    if image_filter.logic == "or":
        names = [name for tag in by_count for name in tag.spellings]
        return _TagConditions({"tags": _any_of(names)}, _nor(residual), _sum(by_count))
    rarest = by_count[0]
    residual += [{"tags": {"$nin": tag.spellings}} for tag in by_count[1:]]
    return _TagConditions({"tags": _any_of(rarest.spellings)}, _nor(residual), rarest.count)


def _sum(tags: Sequence[TagStats]) -> int | None:
    counts = [tag.count for tag in tags if tag.count is not None]
    return sum(counts) if len(counts) == len(tags) else None


def _any_of(names: Sequence[str]) -> Any:
    return {"$in": list(names)} if len(names) > 1 else names[0]


def _nor(conditions: list[Doc]) -> Doc:
    return {"$nor": conditions} if conditions else {}


def _range_conditions(image_filter: ImageFilter) -> Doc:
    conditions: Doc = {}
    if image_filter.folder:
        conditions["path"] = {"$gt": f"{image_filter.folder}/", "$lt": f"{image_filter.folder}{_AFTER_SLASH}"}
    limits = {"$gte": image_filter.taken_from, "$lt": image_filter.taken_to}
    if taken := {operator: value for operator, value in limits.items() if value is not None}:
        conditions["taken_at"] = taken
    return conditions
