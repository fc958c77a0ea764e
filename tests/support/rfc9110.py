"""A simple model of RFC 9110, sections 13 and 14: the response to a GET or HEAD of one representation.

It works on lists of byte positions and on header fields in parsed form, never on header text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

MAX_RANGES = 8


@dataclass(frozen=True, slots=True)
class EntityTag:
    """An entity tag; the value None means `*`."""

    value: str | None
    weak: bool = False

    def __str__(self) -> str:
        return "*" if self.value is None else f'{"W/" if self.weak else ""}"{self.value}"'


@dataclass(frozen=True, slots=True)
class RangeSpec:
    """A requested range: open without `last`, a suffix without `first`."""

    first: int | None
    last: int | None

    def __str__(self) -> str:
        return "-".join("" if number is None else str(number) for number in (self.first, self.last))

    @property
    def well_formed(self) -> bool:
        return self.first is not None or self.last is not None

    @property
    def ends_before_start(self) -> bool:
        return self.first is not None and self.last is not None and self.last < self.first

    def positions(self, length: int) -> list[int]:
        every = list(range(length))
        if self.first is None:
            return every[-self.last :] if self.last else []
        return every[self.first :] if self.last is None else every[self.first : self.last + 1]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A conditional range request. Dates are whole seconds."""

    method: str = "GET"
    ranges: tuple[RangeSpec, ...] = ()
    if_range: EntityTag | datetime | None = None
    if_match: tuple[EntityTag, ...] = ()
    if_none_match: tuple[EntityTag, ...] = ()
    if_modified_since: datetime | None = None
    if_unmodified_since: datetime | None = None

    def headers(self) -> dict[str, str]:
        fields = {
            "Range": f"bytes={','.join(map(str, self.ranges))}" if self.ranges else "",
            "If-Match": ", ".join(map(str, self.if_match)),
            "If-None-Match": ", ".join(map(str, self.if_none_match)),
        }
        for name, date in (
            ("If-Range", self.if_range),
            ("If-Modified-Since", self.if_modified_since),
            ("If-Unmodified-Since", self.if_unmodified_since),
        ):
            if date is not None:
                fields[name] = format_datetime(date, usegmt=True) if isinstance(date, datetime) else str(date)
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """A status, and the byte positions of each range; a whole body is one range."""

    status: int
    ranges: tuple[tuple[int, ...], ...] = ()


def expected_response(request: ModelRequest, length: int, etag: str, modified: datetime) -> ModelResponse:
    """Evaluates the steps of section 13.2.2 in order."""
    if not _preconditions_hold(request, etag, modified):
        return ModelResponse(412)
    if _not_modified(request, etag, modified):
        return ModelResponse(304)
    whole = ModelResponse(200, (tuple(range(length)),))
    if request.method != "GET" or not request.ranges or not _if_range_holds(request.if_range, etag, modified):
        return whole
    return _ranged_response(request.ranges, length, whole)


def _ranged_response(specs: Sequence[RangeSpec], length: int, whole: ModelResponse) -> ModelResponse:
    """Section 14.2."""
    if not all(spec.well_formed for spec in specs):
        return whole
    if any(spec.ends_before_start for spec in specs):
        return ModelResponse(416)  # the whole body is permitted too; NGINX answers 416
    ranges = _coalesced([positions for spec in specs if (positions := spec.positions(length))])
    if len(ranges) > MAX_RANGES:
        return whole
    return ModelResponse(206, ranges) if ranges else ModelResponse(416)


def _preconditions_hold(request: ModelRequest, etag: str, modified: datetime) -> bool:
    """Steps 1 and 2: If-Match, If-Unmodified-Since."""
    if request.if_match:
        return any(tag.value is None or (tag.value == etag and not tag.weak) for tag in request.if_match)
    return request.if_unmodified_since is None or modified <= request.if_unmodified_since


def _not_modified(request: ModelRequest, etag: str, modified: datetime) -> bool:
    """Steps 3 and 4: If-None-Match, If-Modified-Since."""
    if request.if_none_match:
        return any(tag.value in (None, etag) for tag in request.if_none_match)
    return request.if_modified_since is not None and modified <= request.if_modified_since


def _if_range_holds(condition: EntityTag | datetime | None, etag: str, modified: datetime) -> bool:
    if isinstance(condition, EntityTag):
        return condition.value == etag and not condition.weak
    return condition is None or condition == modified


def _coalesced(ranges: Sequence[list[int]]) -> tuple[tuple[int, ...], ...]:
    """Ranges that overlap or touch are merged into the first of them."""
    merged = [set(positions) for positions in ranges]
    changed = True
    while changed:
        changed = False
        for index in range(len(merged)):
            for later in range(len(merged) - 1, index, -1):
                touching = {position + step for position in merged[index] for step in (-1, 0, 1)}
                if touching & merged[later]:
                    merged[index] |= merged.pop(later)
                    changed = True
    return tuple(tuple(sorted(positions)) for positions in merged)
