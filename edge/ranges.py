"""Ranges of RFC 9110, section 14: what a Range header asks for of a body of known length. Pure."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"(\d*)-(\d*)", re.ASCII)
_DIGITS = 19
"""Numbers of more digits than any length has are malformed, not huge."""


@dataclass(frozen=True, slots=True)
class Range:
    """The bytes from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.last - self.first + 1


class Unsatisfiable(Exception):
    """The range begins behind the end: 416."""


def parse(header: str | None, length: int) -> Range | None:
    """The one range that is asked for, cut to the length; None for the whole body.

    The whole answers a missing, malformed or foreign header, and one of several ranges: all of
    that a server may ignore. Raises Unsatisfiable.
    """
    unit, _, spec = (header or "").partition("=")
    if unit.strip().lower() != "bytes":
        return None
    match = _RANGE.fullmatch(spec.strip(" \t"))
    if match is None or any(len(number) > _DIGITS for number in match.groups()):
        return None
    first, last = match.groups()
    if first:
        return _from(int(first), int(last) if last else None, length)
    return _suffix(int(last), length) if last else None


def _from(first: int, last: int | None, length: int) -> Range | None:
    if last is not None and last < first:
        return None
    if first >= length:
        raise Unsatisfiable
    return Range(first, length - 1 if last is None else min(last, length - 1))


def _suffix(number: int, length: int) -> Range:
    if not number or not length:
        raise Unsatisfiable
    return Range(max(0, length - number), length - 1)
