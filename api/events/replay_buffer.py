"""Ring buffer of the latest events, shared by all clients; a client is a position in it."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

MAX_CHUNK_BYTES = 64 << 10
"""Maximum size of a chunk, in bytes; a chunk has at least one event."""


class PositionExpired(Exception):
    """The buffer no longer holds the events at this position."""


@dataclass(frozen=True, slots=True)
class SseEvent:
    """An event in the format `text/event-stream`, and its change-stream token."""

    token: str
    payload: bytes


class ReplayBuffer:
    """The latest events in token order, bounded by number and by bytes.

    Events have consecutive positions. The buffer holds all events with tokens above `floor`, up to
    and including `head`.
    """

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: list[SseEvent] = []
        self._total_bytes = 0
        self._first_position = 0
        self._last_read: tuple[int, int, bytes, int] | None = None
        self.floor = ""
        self.head = ""

    @property
    def end_position(self) -> int:
        """The position of the next event to be appended."""
        return self._first_position + len(self._events)

    def reset(self, token: str) -> None:
        """Empty the buffer and continue after the token. All earlier positions become expired."""
        # The gap is as wide as the buffer, so that `prepend` never reuses an expired position.
        self._first_position = self.end_position + self._max_events + 1
        self._events, self._total_bytes, self._last_read = [], 0, None
        self.floor = self.head = token

    def advance_head(self, token: str) -> None:
        """Record that there are no further events up to this token."""
        self.head = token

    def append(self, event: SseEvent) -> None:
        """Append the next event, evicting the oldest ones at the limits."""
        self._events.append(event)
        self._total_bytes += len(event.payload)
        self.head = event.token
        self._evict()

    def prepend(self, events: Sequence[SseEvent], floor: str) -> bool:
        """Insert all events between `floor` and the present floor. False when they do not fit."""
        size = sum(len(event.payload) for event in events)
        if len(self._events) + len(events) > self._max_events or self._total_bytes + size > self._max_bytes:
            return False
        self._events[:0] = events
        self._total_bytes += size
        self._first_position -= len(events)
        self.floor = floor
        return True

    def position_after(self, token: str) -> int | None:
        """The position of the first event after the token; None when the token is below the floor."""
        if token < self.floor:
            return None
        return self._first_position + bisect_right(self._events, token, key=lambda event: event.token)

    def read(self, position: int) -> tuple[bytes, int]:
        """A chunk of events from this position, and the position after it. Raises PositionExpired."""
        if position < self._first_position:
            raise PositionExpired
        end_position = self.end_position
        # Most clients are at the same position: the last chunk is cached for them.
        if self._last_read is None or self._last_read[:2] != (position, end_position):
            self._last_read = (position, end_position, *self._chunk(position))
        return self._last_read[2:]

    def _chunk(self, position: int) -> tuple[bytes, int]:
        parts: list[bytes] = []
        size = 0
        for event in self._events[position - self._first_position :]:
            if parts and size + len(event.payload) > MAX_CHUNK_BYTES:
                break
            parts.append(event.payload)
            size += len(event.payload)
        return b"".join(parts), position + len(parts)

    def _evict(self) -> None:
        evicted = 0
        while len(self._events) - evicted > self._max_events or self._total_bytes > self._max_bytes:
            self._total_bytes -= len(self._events[evicted].payload)
            evicted += 1
        if evicted:
            self.floor = self._events[evicted - 1].token
            del self._events[:evicted]
            self._first_position += evicted
