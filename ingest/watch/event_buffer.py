"""Bounded buffer between the observer's threads, which add events, and the event loop, which drains them."""

import threading
from collections.abc import Callable

from ingest.watch.debounce import PathEvent

MAX_EVENTS = 100_000
"""Events in the buffer; when there are more, all are dropped and the loss asks for a rescan."""


class EventBuffer:
    """Thread-safe. When it is full it drops its events and keeps the fact that some were lost."""

    def __init__(self, wake: Callable[[], object]) -> None:
        """`wake` is called from any thread when the buffer is no longer empty."""
        self._lock = threading.Lock()
        self._wake = wake
        self._events: list[PathEvent] = []
        self._lost = False

    def add(self, event: PathEvent) -> None:
        """Add an event. From any thread."""
        with self._lock:
            was_empty = not self._events and not self._lost
            if len(self._events) < MAX_EVENTS:
                self._events.append(event)
            else:
                self._events.clear()
                self._lost = True
        if was_empty:
            self._wake()

    def mark_lost(self) -> None:
        """Record that events were lost before they reached the buffer. From any thread."""
        with self._lock:
            self._lost = True
        self._wake()

    def drain(self) -> tuple[list[PathEvent], bool]:
        """Remove and return all events, and whether others were lost."""
        with self._lock:
            events, lost = self._events, self._lost
            self._events, self._lost = [], False
        return events, lost
