"""The latest events, held once for all clients: each client is no more than a place among them."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

CHUNK = 64 << 10
"""Bytes that a client is given at once, at least one event."""


class Overtaken(Exception):
    """What comes at this place is not held any more."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event in the wire's form, and its token in the stream of changes."""

    token: str
    wire: bytes


class Backlog:
    """The latest events in the order of their tokens, so many of them and so many bytes at most.

    Every event has a place, a number one above its predecessor's. All events with tokens above
    `floor` are held, up to `head`.
    """

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: list[Event] = []
        self._bytes = 0
        self._first = 0
        self._read: tuple[int, int, bytes, int] | None = None
        self.floor = ""
        self.head = ""

    @property
    def end(self) -> int:
        """The place of the next event."""
        return self._first + len(self._events)

    def start(self, token: str) -> None:
        """Hold nothing, and what comes behind the token from now on. Every place there was is overtaken."""
        # A gap as wide as the backlog: reaching back does not come to the old places again.
        self._first = self.end + self._max_events + 1
        self._events, self._bytes, self._read = [], 0, None
        self.floor = self.head = token

    def mark(self, token: str) -> None:
        """There is no further event up to this token."""
        self.head = token

    def append(self, event: Event) -> None:
        """The next event; the oldest make room for it."""
        self._events.append(event)
        self._bytes += len(event.wire)
        self.head = event.token
        self._trim()

    def reach_back(self, events: Sequence[Event], floor: str) -> bool:
        """Hold these too: all there are above `floor`, up to what was the floor. Whether they fit."""
        size = sum(len(event.wire) for event in events)
        if len(self._events) + len(events) > self._max_events or self._bytes + size > self._max_bytes:
            return False
        self._events[:0] = events
        self._bytes += size
        self._first -= len(events)
        self.floor = floor
        return True

    def place_behind(self, token: str) -> int | None:
        """The place of the first event behind the token; None where it is below the floor."""
        if token < self.floor:
            return None
        return self._first + bisect_right(self._events, token, key=lambda event: event.token)

    def read(self, place: int) -> tuple[bytes, int]:
        """Events from this place on as one chunk, and the place behind them. Raises Overtaken."""
        if place < self._first:
            raise Overtaken
        end = self.end
        # Most clients stand at the same place: the chunk is made once for all of them.
        if self._read is None or self._read[:2] != (place, end):
            self._read = (place, end, *self._chunk(place))
        return self._read[2:]

    def _chunk(self, place: int) -> tuple[bytes, int]:
        parts: list[bytes] = []
        size = 0
        for event in self._events[place - self._first :]:
            if parts and size + len(event.wire) > CHUNK:
                break
            parts.append(event.wire)
            size += len(event.wire)
        return b"".join(parts), place + len(parts)

    def _trim(self) -> None:
        drop = 0
        while len(self._events) - drop > self._max_events or self._bytes > self._max_bytes:
            self._bytes -= len(self._events[drop].wire)
            drop += 1
        if drop:
            self.floor = self._events[drop - 1].token
            del self._events[:drop]
            self._first += drop
