"""Notes on their way from the observer's threads to the loop."""

import threading
from collections.abc import Callable

from ingest.watch.debounce import PathEvent

NOTES_LIMIT = 100_000
"""Notes that are held for the loop; more than that and they are forgotten for a comparison of the tree."""


class Inbox:
    """Bounded: when it is full it forgets the notes and keeps that some were lost."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._lock = threading.Lock()
        self._wake = wake
        self._notes: list[PathEvent] = []
        self._lost = False

    def put(self, note: PathEvent) -> None:
        """From any thread."""
        with self._lock:
            idle = not self._notes and not self._lost
            if len(self._notes) < NOTES_LIMIT:
                self._notes.append(note)
            else:
                self._notes.clear()
                self._lost = True
        if idle:
            self._wake()

    def lose(self) -> None:
        """Events were lost before they came here. From any thread."""
        with self._lock:
            self._lost = True
        self._wake()

    def take(self) -> tuple[list[PathEvent], bool]:
        """All notes so far, and whether others were lost."""
        with self._lock:
            notes, lost = self._notes, self._lost
            self._notes, self._lost = [], False
        return notes, lost
