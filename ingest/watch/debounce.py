"""The wait until a file has stopped changing. Pure: told what happened and what time it is.

A writer that holds the file open sends changes and at last a close; a rename or a folder that
was moved in sends no close. So a close shortens the wait, a change without one lengthens it,
and anything else waits the settle time itself.
"""

import heapq
from dataclasses import dataclass
from enum import Enum

from ingest.paths import images_of, is_sidecar_name

OPEN_FACTOR = 10
"""A file that was written to and not closed is left alone for this many settle times."""

CLOSED_S = 0.2
"""A file that was closed after writing waits this long, in seconds, or the settle time if less."""


class EventKind(Enum):
    """What was seen to happen at a path."""

    APPEARED = "appeared"
    WRITTEN = "written"
    CLOSED = "closed"
    VANISHED = "vanished"


@dataclass(frozen=True, slots=True)
class PathEvent:
    """Something happened at a path of a library, in the catalog's spelling. `""` is the library itself."""

    path: str
    sign: EventKind


class Debouncer:
    """The paths at which something happened lately, and when each will be quiet."""

    def __init__(self, settle_s: float, limit: int = 100_000) -> None:
        self.settle_s = settle_s
        self._limit = limit
        self._due: dict[str, float] = {}
        self._sidecars: dict[str, float] = {}
        self._queue: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._due)

    @property
    def full(self) -> bool:
        """Whether so many paths are unquiet that their details should be forgotten."""
        return len(self._due) >= self._limit

    def waits_for(self, path: str) -> bool:
        """Whether something happened at this path, and it is not quiet yet."""
        return path in self._due

    def note(self, note: PathEvent, now: float) -> None:
        """Wait for this path from now on. Times are those of one monotonic clock, in seconds.

        A sidecar settles with its image as one: it lets an image that waits wait on.
        """
        if is_sidecar_name(note.path):
            for path in images_of(note.path):
                if path in self._due:
                    self._sidecars[path] = now + self._wait(note.sign)
            return
        self._wait_for(note.path, now + self._wait(note.sign))

    def _wait_for(self, path: str, due: float) -> None:
        self._due[path] = due
        heapq.heappush(self._queue, (due, path))
        if len(self._queue) > 2 * self._limit:
            self._queue = [(when, path) for path, when in self._due.items()]
            heapq.heapify(self._queue)

    def due(self, now: float) -> list[str]:
        """The paths that are quiet, which are forgotten here."""
        found = []
        while self._queue and self._queue[0][0] <= now:
            when, path = heapq.heappop(self._queue)
            if self._due.get(path) != when:
                continue
            if (sidecar_due := self._sidecars.pop(path, now)) > now:
                self._wait_for(path, sidecar_due)
            else:
                del self._due[path]
                found.append(path)
        return found

    def next_due(self) -> float | None:
        """When the next path may be quiet, or None."""
        return self._queue[0][0] if self._queue else None

    def clear(self) -> None:
        """Forget everything."""
        self._due.clear()
        self._sidecars.clear()
        self._queue.clear()

    def _wait(self, sign: EventKind) -> float:
        if sign is EventKind.WRITTEN:
            return self.settle_s * OPEN_FACTOR
        if sign is EventKind.CLOSED:
            return min(self.settle_s, CLOSED_S)
        return self.settle_s
