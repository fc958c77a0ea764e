"""Ranges of RFC 9110, section 14: what a Range header asks for of a body of known length. Pure."""

import re
from dataclasses import dataclass

MAX_RANGES = 8
"""An answer of more parts than this costs more than the whole body, which is sent instead."""

_SPEC = re.compile(r"(\d*)-(\d*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.last - self.first + 1

    def content_range(self, total: int) -> str:
        """The Content-Range that names it in a body of this length."""
        return f"bytes {self.first}-{self.last}/{total}"


class UnsatisfiableRange(Exception):
    """None of the ranges begins before the end: 416."""


def parse_range(header: str | None, length: int) -> tuple[ByteRange, ...]:
    """The parts that are asked for, cut to the length, in the order asked; none for the whole body.

    Ranges that overlap or touch become one, in the place of the first of them; those behind the
    end are left out. The whole body answers a header that is missing, malformed or foreign, and
    one of more than PARTS parts. Raises Unsatisfiable.
    """
    unit, _, listed = (header or "").partition("=")
    specs = [spec for text in listed.split(",") if (spec := text.strip(" \t"))]
    if unit.lower() != "bytes" or not specs:
        return ()
    try:
        bounds = [_parse_spec(spec) for spec in specs]
    except ValueError:
        return ()
    ranges = _coalesce([clamped for first, last in bounds if (clamped := _clamp(first, last, length))])
    if not ranges:
        raise UnsatisfiableRange
    return ranges if len(ranges) <= MAX_RANGES else ()


def _parse_spec(spec: str) -> tuple[int | None, int | None]:
    """First and last of a range, the last alone of a suffix.

    Raises ValueError where it is malformed, and where a number is longer than Python reads: 4300 digits.
    """
    match = _SPEC.fullmatch(spec)
    if match is None or spec == "-":
        raise ValueError(spec)
    first = int(match[1]) if match[1] else None
    last = int(match[2]) if match[2] else None
    if first is not None and last is not None and last < first:
        raise ValueError(spec)
    return first, last


def _clamp(first: int | None, last: int | None, length: int) -> ByteRange | None:
    """The part of the body that it names; None where it names none of it."""
    if first is None:
        first, last = max(0, length - (last or 0)), None
    if first >= length:
        return None
    return ByteRange(first, length - 1 if last is None else min(last, length - 1))


def _coalesce(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    """Parts that overlap or touch as one, each in the place of the earliest it was made of."""
    if not ranges[1:]:
        return tuple(ranges)
    merged: list[tuple[int, ByteRange]] = []
    for position, current in sorted(enumerate(ranges), key=lambda item: item[1].first):
        if merged and current.first <= merged[-1][1].last + 1:
            previous_position, previous = merged.pop()
            current = ByteRange(previous.first, max(previous.last, current.last))  # noqa: PLW2901
            position = min(position, previous_position)  # noqa: PLW2901
        merged.append((position, current))
    return tuple(part for _, part in sorted(merged, key=lambda item: item[0]))
