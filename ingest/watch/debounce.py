"""The wait until a file has stopped changing. Pure: told what happened and what time it is.

A writer that holds the file open sends changes and at last a close; a rename or a folder that
was moved in sends no close. So a close shortens the wait, a change without one lengthens it,
and anything else waits the settle time itself.
"""

import heapq
from dataclasses import dataclass
from enum import Enum

from ingest.paths import is_sidecar_name, sidecar_images

OPEN_FACTOR = 10
"""A file that was written to and not closed is left alone for this many settle times."""

CLOSED_S = 0.2
"""A file that was closed after writing waits this long, in seconds, or the settle time if less."""


class EventKind(Enum):
    """What was seen to happen at a path."""

    CREATED = "appeared"
    MODIFIED = "written"
    CLOSED = "closed"
    DELETED = "vanished"


@dataclass(frozen=True, slots=True)
class PathEvent:
    """Something happened at a path of a library, in the catalog's spelling. `""` is the library itself."""

    path: str
    kind: EventKind


class Debouncer:
    """The paths at which something happened lately, and when each will be quiet."""

    def __init__(self, settle_s: float, limit: int = 100_000) -> None:
        self.settle_s = settle_s
        self._limit = limit
        self._due_at: dict[str, float] = {}
        self._sidecar_due_at: dict[str, float] = {}
        self._queue: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._due_at)

    @property
    def is_full(self) -> bool:
        """Whether so many paths are unquiet that their details should be forgotten."""
        return len(self._due_at) >= self._limit

    def is_pending(self, path: str) -> bool:
        """Whether something happened at this path, and it is not quiet yet."""
        return path in self._due_at

    def add(self, event: PathEvent, now: float) -> None:
        """Wait for this path from now on. Times are those of one monotonic clock, in seconds.

        A sidecar settles with its image as one: it lets an image that waits wait on.
        """
        if is_sidecar_name(event.path):
            for path in sidecar_images(event.path):
                if path in self._due_at:
                    self._sidecar_due_at[path] = now + self._quiet_s(event.kind)
            return
        self._schedule(event.path, now + self._quiet_s(event.kind))

    def _schedule(self, path: str, due: float) -> None:
        self._due_at[path] = due
        heapq.heappush(self._queue, (due, path))
        if len(self._queue) > 2 * self._limit:
            self._queue = [(when, path) for path, when in self._due_at.items()]
            heapq.heapify(self._queue)

    def pop_quiet(self, now: float) -> list[str]:
        """The paths that are quiet, which are forgotten here."""
        found = []
        while self._queue and self._queue[0][0] <= now:
            when, path = heapq.heappop(self._queue)
            if self._due_at.get(path) != when:
                continue
            if (sidecar_due := self._sidecar_due_at.pop(path, now)) > now:
                self._schedule(path, sidecar_due)
            else:
                del self._due_at[path]
                found.append(path)
        return found

    def next_due_at(self) -> float | None:
        """When the next path may be quiet, or None."""
        return self._queue[0][0] if self._queue else None

    def clear(self) -> None:
        """Forget everything."""
        self._due_at.clear()
        self._sidecar_due_at.clear()
        self._queue.clear()

    def _quiet_s(self, sign: EventKind) -> float:
        if sign is EventKind.MODIFIED:
            return self.settle_s * OPEN_FACTOR
        if sign is EventKind.CLOSED:
            return min(self.settle_s, CLOSED_S)
        return self.settle_s
