"""Keyset pagination: sort orders, positions in them, and index ranges between two positions.

A position is the value of the sort field, plus the id to break ties. The images between two positions
are read as consecutive ranges of an index. One filter with `$or` would be equivalent, but MongoDB 6
sorts in memory if its branches are themselves several intervals (several tags).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING

from tagify.catalog.queries.filters import Sort
from tagify.model import ImageId

Doc = dict[str, Any]
Value = datetime | str | None


@dataclass(frozen=True, slots=True)
class KeysetPosition:
    """A position in a sort order; its image need not exist. `value` is None if sorted by id only."""

    value: Value
    id: ImageId


@dataclass(frozen=True, slots=True)
class IndexRange:
    """A range of an index: its filter and its sort (by id only if the filter fixes the sort field)."""

    filter: Doc
    sort: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class SortOrder:
    """A sort by a field (None: by id only), then by id, both in the same direction."""

    name: str
    field: str | None
    direction: int

    @property
    def projection(self) -> Doc:
        """The fields of a document that `position_of` needs, as a projection."""
        return {name: 1 for name, _ in self.sort()}

    def sort(self, forward: bool = True) -> list[tuple[str, int]]:
        """The sort specification: also the last fields of every index that serves this order."""
        direction = self.direction if forward else -self.direction
        return [*([(self.field, direction)] if self.field else []), ("_id", direction)]

    def position_of(self, doc: Doc) -> KeysetPosition:
        """The position of a document."""
        return KeysetPosition(doc[self.field] if self.field else None, ImageId(str(doc["_id"])))

    def ranges(
        self, start: KeysetPosition | None, end: KeysetPosition | None, forward: bool = True
    ) -> list[IndexRange]:
        """The ranges after `start` (exclusive) up to `end` (inclusive), in reading order; None: unbounded."""
        after, until = ("$gt", "$lte") if (self.direction > 0) is forward else ("$lt", "$gte")
        start_id = {after: ObjectId(start.id)} if start else {}
        end_id = {until: ObjectId(end.id)} if end else {}
        by_id = self.sort(forward)[-1:]
        if self.field is None:
            return [IndexRange({"_id": start_id | end_id} if start_id or end_id else {}, by_id)]
        if start and end and start.value == end.value:
            return [IndexRange({self.field: start.value, "_id": start_id | end_id}, by_id)]
        before = until.removesuffix("e")
        between = ({after: start.value} if start else {}) | ({before: end.value} if end else {})
        return [
            *([IndexRange({self.field: start.value, "_id": start_id}, by_id)] if start else []),
            IndexRange({self.field: between} if between else {}, self.sort(forward)),
            *([IndexRange({self.field: end.value, "_id": end_id}, by_id)] if end else []),
        ]


ORDERS = {
    Sort.NEWEST: SortOrder("newest", None, DESCENDING),
    Sort.TAKEN_AT: SortOrder("taken", "taken_at", DESCENDING),
    Sort.PATH: SortOrder("path", "path", ASCENDING),
}
