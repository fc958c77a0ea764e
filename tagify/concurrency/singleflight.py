"""One flight for many askers: the same work is done once, for as long as anybody waits for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Work under way, by key."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[T]] = {}
        self._waiting: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def is_running(self, key: str) -> bool:
        """Whether this work is under way."""
        return key in self._tasks

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """The result of the work, begun if nobody has. When all who wait have left it is cancelled."""
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.ensure_future(_task(work))
            self._tasks[key] = task
            self._waiting[key] = 0
            task.add_done_callback(lambda _: self._landed(key))
        self._waiting[key] += 1
        try:
            return await asyncio.shield(task)
        finally:
            if key in self._waiting and self._tasks.get(key) is task:
                self._waiting[key] -= 1
                if not self._waiting[key] and not task.done():
                    self._landed(key)
                    task.cancel()

    def _landed(self, key: str) -> None:
        task = self._tasks.pop(key, None)
        self._waiting.pop(key, None)
        if task is not None and task.done() and not task.cancelled():
            task.exception()  # retrieved: all who asked may have left


async def _task(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
