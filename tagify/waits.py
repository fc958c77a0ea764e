"""What a request waited for: seconds by cause, which the log line of a slow request names.

The causes are few and fixed: `S3`, `MongoDB`, `queue`, `decoding`, `client`. Tasks that a request starts
record into the same sums, since they inherit its context. Causes overlap where calls run concurrently.
"""

import time
from contextvars import ContextVar

_SUMS: ContextVar[dict[str, float] | None] = ContextVar("waits", default=None)


def collect() -> dict[str, float]:
    """Collect the waits of this task from now on; returns the sums, which grow while it runs."""
    sums: dict[str, float] = {}
    _SUMS.set(sums)
    return sums


def record(cause: str, seconds: float) -> None:
    """Add a wait, if the task belongs to a request."""
    sums = _SUMS.get()
    if sums is not None:
        sums[cause] = sums.get(cause, 0.0) + seconds


class Waiting:
    """A block that waits for this cause. A class: a generator would take three times as long."""

    __slots__ = ("_cause", "_start")

    def __init__(self, cause: str) -> None:
        self._cause = cause

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        record(self._cause, time.perf_counter() - self._start)
