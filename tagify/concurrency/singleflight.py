"""Singleflight: concurrent calls for one key share one run of the work."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """The running work, by key. It runs for as long as a caller waits for it; no result is kept.

    async-lru takes as long (20 to 22 us per call) but is a cache: it would need an invalidation after each
    call, and `is_running` would have to be kept beside it.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[T]] = {}
        self._callers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def is_running(self, key: str) -> bool:
        """Whether the work for this key runs."""
        return key in self._tasks

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """The result of the work for this key, started unless it runs.

        An error of the work is raised in every caller. When the last caller is cancelled, so is the work.
        """
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.ensure_future(_run(work))
            self._tasks[key] = task
            self._callers[key] = 0
            task.add_done_callback(lambda done: self._forget(key, done))
        self._callers[key] += 1
        try:
            return await asyncio.shield(task)
        finally:
            if key in self._callers and self._tasks.get(key) is task:
                self._callers[key] -= 1
                if not self._callers[key] and not task.done():
                    self._forget(key, task)
                    task.cancel()

    def _forget(self, key: str, task: asyncio.Task[T]) -> None:
        """Remove this task. A successor that was started for the key after a cancellation stays."""
        if self._tasks.get(key) is task:
            del self._tasks[key]
            del self._callers[key]
        if task.done() and not task.cancelled():
            task.exception()  # marked as retrieved: all callers may have been cancelled


async def _run(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
