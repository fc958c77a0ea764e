"""A plain model of RFC 9110, sections 13 and 14: what a GET or HEAD of one representation answers.

It works on lists of positions and on the parts of headers, never on the text that carries them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

MAX_RANGES = 8


@dataclass(frozen=True, slots=True)
class EntityTag:
    """An entity tag; None as its value is `*`."""

    value: str | None
    weak: bool = False

    def __str__(self) -> str:
        return "*" if self.value is None else f'{"W/" if self.weak else ""}"{self.value}"'


@dataclass(frozen=True, slots=True)
class RangeSpec:
    """A range as asked: the first alone is open, the last alone a suffix."""

    first: int | None
    last: int | None

    def __str__(self) -> str:
        return "-".join("" if number is None else str(number) for number in (self.first, self.last))

    @property
    def valid(self) -> bool:
        if self.first is None:
            return self.last is not None
        return self.last is None or self.first <= self.last

    def positions(self, length: int) -> list[int]:
        every = list(range(length))
        if self.first is None:
            return every[-self.last :] if self.last else []
        return every[self.first :] if self.last is None else every[self.first : self.last + 1]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request. Dates are whole seconds."""

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
    """A status, and the positions of the bytes of each part; one part for the whole."""

    status: int
    ranges: tuple[tuple[int, ...], ...] = ()


def expected_response(request: ModelRequest, length: int, etag: str, modified: datetime) -> ModelResponse:
    """What section 13.2.2 says, step by step."""
    if not _preconditions_hold(request, etag, modified):
        return ModelResponse(412)
    if _not_modified(request, etag, modified):
        return ModelResponse(304)
    whole = ModelResponse(200, (tuple(range(length)),))
    if request.method != "GET" or not request.ranges or not _if_range_holds(request.if_range, etag, modified):
        return whole
    if not all(spec.valid for spec in request.ranges):
        return whole
    ranges = _coalesced([positions for spec in request.ranges if (positions := spec.positions(length))])
    if len(ranges) > MAX_RANGES:
        return whole
    return ModelResponse(206, ranges) if ranges else ModelResponse(416)


def _preconditions_hold(request: ModelRequest, etag: str, modified: datetime) -> bool:
    """Steps 1 and 2."""
    if request.if_match:
        return any(tag.value is None or (tag.value == etag and not tag.weak) for tag in request.if_match)
    return request.if_unmodified_since is None or modified <= request.if_unmodified_since


def _not_modified(request: ModelRequest, etag: str, modified: datetime) -> bool:
    """Steps 3 and 4."""
    if request.if_none_match:
        return any(tag.value in (None, etag) for tag in request.if_none_match)
    return request.if_modified_since is not None and modified <= request.if_modified_since


def _if_range_holds(condition: EntityTag | datetime | None, etag: str, modified: datetime) -> bool:
    if isinstance(condition, EntityTag):
        return condition.value == etag and not condition.weak
    return condition is None or condition == modified


def _coalesced(parts: Sequence[list[int]]) -> tuple[tuple[int, ...], ...]:
    """Any two that share a position or have neighbours become one, in the place of the first."""
    found = [set(part) for part in parts]
    again = True
    while again:
        again = False
        for one in range(len(found)):
            for other in range(len(found) - 1, one, -1):
                near = found[one] | {place + 1 for place in found[one]} | {place - 1 for place in found[one]}
                if near & found[other]:
                    found[one] |= found.pop(other)
                    again = True
    return tuple(tuple(sorted(part)) for part in found)
