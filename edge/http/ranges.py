"""Parses a Range header into byte ranges of a body of known length (RFC 9110, section 14). Pure."""

import re
from dataclasses import dataclass

MAX_RANGES = 8
"""A multipart response of more ranges costs more than the whole body, which is sent instead."""

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
        """The Content-Range of this range in a body of `total` bytes."""
        return f"bytes {self.first}-{self.last}/{total}"


class UnsatisfiableRange(Exception):
    """No range starts before the end of the body, or one ends before its start: 416."""


def parse_range(header: str | None, length: int) -> tuple[ByteRange, ...]:
    """The byte ranges requested of a body of `length` bytes, in request order; empty for the whole body.

    Ranges are clamped to the length. Ranges that overlap or touch are merged, at the position of the
    first of them; those beyond the end are dropped. The whole body is the response to a header that is
    missing, malformed or in another unit, and to more than MAX_RANGES ranges. Raises UnsatisfiableRange, also
    for a range that ends before its start: RFC 9110 permits to refuse or to ignore it, and NGINX refuses it.
    """
    unit, _, listed = (header or "").partition("=")
    specs = [spec for text in listed.split(",") if (spec := text.strip(" \t"))]
    if unit.lower() != "bytes" or not specs:
        return ()
    try:
        bounds = [_parse_spec(spec) for spec in specs]
    except ValueError:
        return ()
    if any(_ends_before_start(*bound) for bound in bounds):
        raise UnsatisfiableRange
    ranges = _coalesce([clamped for first, last in bounds if (clamped := _clamp(first, last, length))])
    if not ranges:
        raise UnsatisfiableRange
    return ranges if len(ranges) <= MAX_RANGES else ()


def _parse_spec(spec: str) -> tuple[int | None, int | None]:
    """First and last position of a range; only the last of a suffix range.

    Raises ValueError where it is malformed, or a number has more digits than Python parses (4300).
    """
    match = _SPEC.fullmatch(spec)
    if match is None or spec == "-":
        raise ValueError(spec)
    first = int(match[1]) if match[1] else None
    last = int(match[2]) if match[2] else None
    return first, last


def _ends_before_start(first: int | None, last: int | None) -> bool:
    return first is not None and last is not None and last < first


def _clamp(first: int | None, last: int | None, length: int) -> ByteRange | None:
    """The range within the body; None where it is entirely outside."""
    if first is None:
        first, last = max(0, length - (last or 0)), None
    if first >= length:
        return None
    return ByteRange(first, length - 1 if last is None else min(last, length - 1))


def _coalesce(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    """Ranges that overlap or touch are merged, each at the earliest position of its members."""
    if not ranges[1:]:
        return tuple(ranges)
    merged: list[tuple[int, ByteRange]] = []
    for position, current in sorted(enumerate(ranges), key=lambda item: item[1].first):
        if merged and current.first <= merged[-1][1].last + 1:
            previous_position, previous = merged.pop()
            current = ByteRange(previous.first, max(previous.last, current.last))  # noqa: PLW2901
            position = min(position, previous_position)  # noqa: PLW2901
        merged.append((position, current))
    return tuple(byte_range for _, byte_range in sorted(merged, key=lambda item: item[0]))
