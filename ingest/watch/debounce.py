"""Debounces events: a path is reconciled once its file has stopped changing.

Pure: the caller passes the time.

A writer that holds the file open causes modifications and at last a close; a rename, or a folder that was
moved in, causes no close. So a close shortens the quiet time, a modification without one lengthens it,
and every other event has the settle time itself.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ingest.paths import is_sidecar_name, sidecar_images

OPEN_FACTOR = 10
"""Quiet time of a file that was modified and not closed, in settle times."""

CLOSED_S = 0.2
"""Quiet time of a file that was closed after writing, in seconds; the settle time if that is less."""


class EventKind(Enum):
    """What happened at a path."""

    CREATED = "created"
    MODIFIED = "modified"
    CLOSED = "closed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class PathEvent:
    """An event at a path of a library, in the catalog's encoding. `""` is the library's root."""

    path: str
    kind: EventKind


class Debouncer:
    """Pending paths and when each will be quiet. Times are of one monotonic clock, in seconds."""

    def __init__(self, settle_s: float, limit: int = 100_000) -> None:
        """`limit`: pending paths beyond which a rescan replaces the single paths."""
        self.settle_s = settle_s
        self._limit = limit
        self._due_at: dict[str, float] = {}
        self._sidecar_due_at: dict[str, float] = {}
        self._queue: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._due_at)

    @property
    def is_full(self) -> bool:
        """Whether the limit of pending paths is reached: clear them and rescan."""
        return len(self._due_at) >= self._limit

    def pending_paths(self) -> Iterable[str]:
        """The paths that are not quiet yet, in the order of their first events."""
        return self._due_at.keys()

    def is_pending(self, path: str) -> bool:
        """Whether something happened at this path, and it is not quiet yet."""
        return path in self._due_at

    def add(self, event: PathEvent, now: float) -> None:
        """Restart the quiet time of the event's path.

        A sidecar settles together with its image: its events extend the wait of a pending image.
        """
        if is_sidecar_name(event.path):
            for path in sidecar_images(event.path):
                if path in self._due_at:
                    self._sidecar_due_at[path] = now + self._quiet_s(event.kind)
            return
        self._schedule(event.path, now + self._quiet_s(event.kind))

    def pop_quiet(self, now: float) -> list[str]:
        """Remove and return the paths that are quiet."""
        quiet = []
        while self._queue and self._queue[0][0] <= now:
            due_at, path = heapq.heappop(self._queue)
            if self._due_at.get(path) != due_at:
                continue  # a later event has rescheduled the path
            if (sidecar_due_at := self._sidecar_due_at.pop(path, now)) > now:
                self._schedule(path, sidecar_due_at)
            else:
                del self._due_at[path]
                quiet.append(path)
        return quiet

    def next_due_at(self) -> float | None:
        """When the next path may be quiet; None where none is pending."""
        return self._queue[0][0] if self._queue else None

    def clear(self) -> None:
        """Remove all pending paths."""
        self._due_at.clear()
        self._sidecar_due_at.clear()
        self._queue.clear()

    def _schedule(self, path: str, due_at: float) -> None:
        self._due_at[path] = due_at
        heapq.heappush(self._queue, (due_at, path))
        if len(self._queue) > 2 * self._limit:
            # Drop the entries of rescheduled paths, which would make the heap grow without bound.
            self._queue = [(due_at, path) for path, due_at in self._due_at.items()]
            heapq.heapify(self._queue)

    def _quiet_s(self, kind: EventKind) -> float:
        if kind is EventKind.MODIFIED:
            return self.settle_s * OPEN_FACTOR
        if kind is EventKind.CLOSED:
            return min(self.settle_s, CLOSED_S)
        return self.settle_s
