"""A bounded queue and a semaphore with two priorities: live work before the backlog of a scan."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class PriorityQueue(Generic[T]):
    """Two queues of `limit` items each; `get` returns live items first. A full one applies back-pressure.

    asyncio.PriorityQueue has one bound for both: a scan that fills it would make live items wait for space.
    """

    def __init__(self, limit: int) -> None:
        self._live: asyncio.Queue[T] = asyncio.Queue(limit)
        self._backlog: asyncio.Queue[T] = asyncio.Queue(limit)
        self._filled = asyncio.Semaphore(0)

    def __len__(self) -> int:
        return self._live.qsize() + self._backlog.qsize()

    async def put(self, item: T, *, live: bool) -> None:
        """Add an item, waiting while its queue is full."""
        await (self._live if live else self._backlog).put(item)
        self._filled.release()

    async def get(self) -> T:
        """Remove and return the next item, waiting for one."""
        await self._filled.acquire()
        queue = self._live if not self._live.empty() else self._backlog
        return queue.get_nowait()


class PrioritySemaphore:
    """`permits` permits, granted to live waiters first. The number of waiters is not bounded here.

    No kept library has a semaphore with priorities; those of asyncio and anyio are first come, first served.
    """

    def __init__(self, permits: int) -> None:
        self._free = permits
        self._live: deque[asyncio.Future[None]] = deque()
        self._backlog: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def permit(self, *, live: bool) -> AsyncIterator[None]:
        """Hold a permit while the block runs, waiting for one."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._live if live else self._backlog).append(granted)
        self._grant()
        try:
            await granted
            yield
        finally:
            # A permit that was granted in the moment of a cancellation is returned too.
            if granted.done() and not granted.cancelled():
                self._free += 1
            self._grant()

    def _grant(self) -> None:
        while self._free and (waiters := self._live or self._backlog):
            granted = waiters.popleft()
            if not granted.cancelled():
                self._free -= 1
                granted.set_result(None)
