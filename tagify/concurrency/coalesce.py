"""Coalescing of identical reads, without ever returning a result that was read before the request.

After a change every open page requests the tags and the first images again, all at once. For each key one
read runs at a time. Callers that arrive while it runs share the next read, which starts when it ends. So
the result always contains whatever the caller was notified of, or wrote itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from tagify.metrics import Counter

T = TypeVar("T")

Read = Callable[[], Awaitable[T]]


class ReadCoalescer(Generic[T]):
    """For each key the read that runs, and the one that starts when that has ended.

    Ours, for a singleflight (async-lru, `singleflight.py`) joins callers to the read that already runs,
    which may have passed the change that they were notified of.
    """

    def __init__(self, joined: Counter) -> None:
        """`joined` counts the callers that share the read of another one."""
        self._joined = joined
        self._running: dict[Hashable, asyncio.Task[T]] = {}
        self._next: dict[Hashable, asyncio.Task[T]] = {}

    async def run(self, key: Hashable, read: Read[T]) -> T:
        """The result of a read that starts after this call. A cancelled caller does not cancel the read."""
        task = self._next.get(key)
        if task is not None:
            self._joined.add()
        elif (running := self._running.get(key)) is not None:
            task = self._start(self._read_after(running, key, read))
            self._next[key] = task
        else:
            task = self._start(self._read(key, read))
            self._running[key] = task
        return await asyncio.shield(task)

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        task.add_done_callback(_retrieve_exception)
        return task

    async def _read_after(self, running: asyncio.Task[T], key: Hashable, read: Read[T]) -> T:
        await asyncio.wait({running})
        self._running[key] = self._next.pop(key)
        return await self._read(key, read)

    async def _read(self, key: Hashable, read: Read[T]) -> T:
        task = asyncio.current_task()
        try:
            return await read()
        finally:
            if self._running.get(key) is task:
                del self._running[key]


def _retrieve_exception(task: asyncio.Task[Any]) -> None:
    """Keep asyncio from logging the error as never retrieved: all callers may have been cancelled."""
    if not task.cancelled():
        task.exception()
