"""A bounded queue with two lanes: what just happened goes before what a scan found."""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
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
