"""A plain model of RFC 9110, sections 13 and 14: what a GET or HEAD of one representation answers.

It works on lists of positions and on the parts of headers, never on the text that carries them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

MOST_PARTS = 8


@dataclass(frozen=True, slots=True)
class Tag:
    """An entity tag; None as its value is `*`."""

    value: str | None
    weak: bool = False

    def __str__(self) -> str:
        return "*" if self.value is None else f'{"W/" if self.weak else ""}"{self.value}"'


@dataclass(frozen=True, slots=True)
class Spec:
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
class Asked:
    """A request. Dates are whole seconds."""

    method: str = "GET"
    ranges: tuple[Spec, ...] = ()
    if_range: Tag | datetime | None = None
    if_match: tuple[Tag, ...] = ()
    if_none_match: tuple[Tag, ...] = ()
    if_modified_since: datetime | None = None
    if_unmodified_since: datetime | None = None

    def headers(self) -> dict[str, str]:
        found = {
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
                found[name] = format_datetime(date, usegmt=True) if isinstance(date, datetime) else str(date)
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and the positions of the bytes of each part; one part for the whole."""

    status: int
    parts: tuple[tuple[int, ...], ...] = ()


def answer(asked: Asked, length: int, etag: str, modified: datetime) -> Answer:
    """What section 13.2.2 says, step by step."""
    if not _matches(asked, etag, modified):
        return Answer(412)
    if _held(asked, etag, modified):
        return Answer(304)
    whole = Answer(200, (tuple(range(length)),))
    if asked.method != "GET" or not asked.ranges or not _fits(asked.if_range, etag, modified):
        return whole
    if not all(spec.valid for spec in asked.ranges):
        return whole
    parts = _merged([found for spec in asked.ranges if (found := spec.positions(length))])
    if len(parts) > MOST_PARTS:
        return whole
    return Answer(206, parts) if parts else Answer(416)


def _matches(asked: Asked, etag: str, modified: datetime) -> bool:
    """Steps 1 and 2."""
    if asked.if_match:
        return any(tag.value is None or (tag.value == etag and not tag.weak) for tag in asked.if_match)
    return asked.if_unmodified_since is None or modified <= asked.if_unmodified_since


def _held(asked: Asked, etag: str, modified: datetime) -> bool:
    """Steps 3 and 4."""
    if asked.if_none_match:
        return any(tag.value in (None, etag) for tag in asked.if_none_match)
    return asked.if_modified_since is not None and modified <= asked.if_modified_since


def _fits(condition: Tag | datetime | None, etag: str, modified: datetime) -> bool:
    if isinstance(condition, Tag):
        return condition.value == etag and not condition.weak
    return condition is None or condition == modified


def _merged(parts: Sequence[list[int]]) -> tuple[tuple[int, ...], ...]:
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
