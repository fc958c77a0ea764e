"""The orders of lists, and the places in them: the value that is sorted by, and the id where two are equal.

A part of an order is told as legs that follow each other, each one interval of an index. One filter with
`$or` would say the same, but MongoDB 6 sorts in memory where its branches are themselves several
intervals (several tags).
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
    """Where an image stands, whether it is there or not. `value` is None in an order by id alone."""

    value: Value
    id: ImageId


@dataclass(frozen=True, slots=True)
class IndexRange:
    """A part of a walk: its filter, and its sort (by id alone where the filter says what goes before it)."""

    filter: Doc
    sort: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class SortOrder:
    """How a list is sorted: by a field (None: the id alone) and then by id, both in one direction."""

    name: str
    field: str | None
    direction: int

    @property
    def projection(self) -> Doc:
        """What `place_of` needs of a document, as a projection."""
        return {name: 1 for name, _ in self.sort()}

    def sort(self, forward: bool = True) -> list[tuple[str, int]]:
        """The sort, and the end of every index that serves it."""
        direction = self.direction if forward else -self.direction
        return [*([(self.field, direction)] if self.field else []), ("_id", direction)]

    def position_of(self, doc: Doc) -> KeysetPosition:
        """Where a document stands."""
        return KeysetPosition(doc[self.field] if self.field else None, ImageId(str(doc["_id"])))

    def ranges(
        self, start: KeysetPosition | None, end: KeysetPosition | None, forward: bool = True
    ) -> list[IndexRange]:
        """What stands behind `start`, up to `end` and with it, in the order of the walk; None: no limit."""
        behind, until = ("$gt", "$lte") if (self.direction > 0) is forward else ("$lt", "$gte")
        ids = {behind: ObjectId(start.id)} if start else {}
        ends = {until: ObjectId(end.id)} if end else {}
        by_id = self.sort(forward)[-1:]
        if self.field is None:
            return [IndexRange({"_id": ids | ends} if ids or ends else {}, by_id)]
        if start and end and start.value == end.value:
            return [IndexRange({self.field: start.value, "_id": ids | ends}, by_id)]
        before = until.removesuffix("e")
        between = ({behind: start.value} if start else {}) | ({before: end.value} if end else {})
        return [
            *([IndexRange({self.field: start.value, "_id": ids}, by_id)] if start else []),
            IndexRange({self.field: between} if between else {}, self.sort(forward)),
            *([IndexRange({self.field: end.value, "_id": ends}, by_id)] if end else []),
        ]


ORDERS = {
    Sort.NEWEST: SortOrder("newest", None, DESCENDING),
    Sort.TAKEN_AT: SortOrder("taken", "taken_at", DESCENDING),
    Sort.PATH: SortOrder("path", "path", ASCENDING),
}
