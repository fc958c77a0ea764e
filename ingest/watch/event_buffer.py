"""Notes on their way from the observer's threads to the loop."""

import threading
from collections.abc import Callable

from ingest.watch.debounce import PathEvent

MAX_EVENTS = 100_000
"""Notes that are held for the loop; more than that and they are forgotten for a comparison of the tree."""


class EventBuffer:
    """Bounded: when it is full it forgets the notes and keeps that some were lost."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._lock = threading.Lock()
        self._wake = wake
        self._events: list[PathEvent] = []
        self._lost = False

    def add(self, event: PathEvent) -> None:
        """From any thread."""
        with self._lock:
            idle = not self._events and not self._lost
            if len(self._events) < MAX_EVENTS:
                self._events.append(event)
            else:
                self._events.clear()
                self._lost = True
        if idle:
            self._wake()

    def mark_lost(self) -> None:
        """Events were lost before they came here. From any thread."""
        with self._lock:
            self._lost = True
        self._wake()

    def drain(self) -> tuple[list[PathEvent], bool]:
        """All notes so far, and whether others were lost."""
        with self._lock:
            notes, lost = self._events, self._lost
            self._events, self._lost = [], False
        return notes, lost
