"""A bounded queue with two lanes: what just happened goes before what a scan found."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

Queue = deque[asyncio.Future[None]]


class PriorityQueue(Generic[T]):
    """Each lane holds `limit`; who brings more waits. `get` serves the live lane first."""

    def __init__(self, limit: int) -> None:
        self._live: asyncio.Queue[T] = asyncio.Queue(limit)
        self._backlog: asyncio.Queue[T] = asyncio.Queue(limit)
        self._filled = asyncio.Semaphore(0)

    def __len__(self) -> int:
        return self._live.qsize() + self._backlog.qsize()

    async def put(self, item: T, *, live: bool) -> None:
        """Add to a lane, waiting for room in it."""
        await (self._live if live else self._backlog).put(item)
        self._filled.release()

    async def get(self) -> T:
        """The next item, waiting for one."""
        await self._filled.acquire()
        lane = self._live if not self._live.empty() else self._backlog
        return lane.get_nowait()


class PrioritySemaphore:
    """`places` that are held one by one. Who waits is bounded by who asks."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._live: Queue = deque()
        self._others: Queue = deque()

    @asynccontextmanager
    async def permit(self, *, live: bool) -> AsyncIterator[None]:
        """Hold a place for as long as the block lasts, waiting for one."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._live if live else self._others).append(turn)
        self._next()
        try:
            await turn
            yield
        finally:
            # A turn that came in the moment of a cancellation is given back too.
            if turn.done() and not turn.cancelled():
                self._free += 1
            self._next()

    def _next(self) -> None:
        while self._free and (queue := self._live or self._others):
            turn = queue.popleft()
            if not turn.cancelled():
                self._free -= 1
                turn.set_result(None)
