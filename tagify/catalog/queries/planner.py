"""How a list is read: by one index, named to the server, and never by a sort in memory.

The server's own planner guesses from a short trial which index is best, and remembers its guess for
other tags too. We know better: the counts of all tags are stored. Of tags that must all be there the
rarest one leads, and the rest is looked for in its images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagify.catalog.mapping import object_id
from tagify.catalog.queries.filters import ImageFilter, Sort
from tagify.catalog.queries.keyset import ORDERS, SortOrder
from tagify.tagnames import tag_key

Doc = dict[str, Any]

# "/" is followed by "0": all paths below a folder lie between the two.
_AFTER_SLASH = chr(ord("/") + 1)


@dataclass(frozen=True, slots=True)
class TagStats:
    """A tag in use: how its images spell it (several ways only while it is being respelt), and how many."""

    spellings: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """An index, what it serves by itself, and what its images are sifted by (nothing, mostly).

    `expected` is the most images that the index leads to, where that is known.
    """

    index: str
    indexed_filter: Doc
    residual_filter: Doc
    order: SortOrder
    max_matches: int | None = None


def index_name(order: SortOrder, *, library: bool, tags: bool) -> str:
    """The name of the index of an order of all images, of a library's, of a tag's, or of both."""
    return "_".join([*(["library"] if library else []), *(["tag"] if tags else []), order.name])


def plan_query(which: ImageFilter, sort: Sort, known: Mapping[str, TagStats]) -> QueryPlan | None:
    """The plan of a list, or None where it has no images. `known` are the tags in use, by their keys."""
    order = ORDERS[sort]
    served: Doc = {"state": which.state.value}
    if which.library_id:
        served["library_id"] = object_id(which.library_id)
    leading = _leading(which, known)
    if leading is None:
        return None
    served |= leading.indexed_filter | _ranges(which)
    index = index_name(order, library=which.library_id is not None, tags="tags" in served)
    return QueryPlan(index, served, leading.residual_filter, order, leading.max_matches)


@dataclass(frozen=True, slots=True)
class _Leading:
    """What a filter says of tags."""

    indexed_filter: Doc
    residual_filter: Doc
    max_matches: int | None = None


def _leading(which: ImageFilter, known: Mapping[str, TagStats]) -> _Leading | None:
    excluded = [name for key in map(tag_key, which.exclude) if key in known for name in known[key].spellings]
    # Under $nor the server takes no bounds from a condition: the leading tag stays the leading one.
    sift: list[Doc] = [{"tags": {"$in": excluded}}] if excluded else []
    if which.no_tags:
        return _Leading({"tags": []}, {})
    if not which.tags:
        return _Leading({}, _nor(sift))
    keys = dict.fromkeys(map(tag_key, which.tags))
    found = sorted((known[key] for key in keys if key in known), key=lambda tag: tag.count)
    if not found or (which.logic == "and" and len(found) < len(keys)):
        return None
    if which.logic == "or":
        names = [name for tag in found for name in tag.spellings]
        return _Leading({"tags": _one_of(names)}, _nor(sift), sum(tag.count for tag in found))
    sift += [{"tags": {"$nin": tag.spellings}} for tag in found[1:]]
    return _Leading({"tags": _one_of(found[0].spellings)}, _nor(sift), found[0].count)


def _one_of(names: Sequence[str]) -> Any:
    return {"$in": list(names)} if len(names) > 1 else names[0]


def _nor(conditions: list[Doc]) -> Doc:
    return {"$nor": conditions} if conditions else {}


def _ranges(which: ImageFilter) -> Doc:
    ranges: Doc = {}
    if which.folder:
        ranges["path"] = {"$gt": f"{which.folder}/", "$lt": f"{which.folder}{_AFTER_SLASH}"}
    limits = {"$gte": which.taken_from, "$lt": which.taken_to}
    if given := {name: value for name, value in limits.items() if value is not None}:
        ranges["taken_at"] = given
    return ranges
