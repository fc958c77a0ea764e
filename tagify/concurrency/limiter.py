"""How many transfers from the S3 server there are at the same time."""

import asyncio

from tagify.errors import Busy
from tagify.metrics import Gauge

UPSTREAMS = 100
"""Transfers from the S3 server at the same time, at most."""


class TimedSemaphore:
    """So many places; who comes too late waits for a while."""

    def __init__(self, places: int, *, wait_s: float, taken: Gauge) -> None:
        self._places = places
        self._free = asyncio.Semaphore(places)
        self._wait_s = wait_s
        self._taken = 0
        taken.set_function(lambda: self._taken)

    async def acquire(self) -> None:
        """Return with a place, which `give` gives back. Raises Busy."""
        if self._free.locked():
            await self._waited()
        else:
            await self._free.acquire()
        self._taken += 1

    def release(self) -> None:
        """Give a place back."""
        self._taken -= 1
        self._free.release()

    async def _waited(self) -> None:
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError as error:
            raise Busy(f"{self._places} transfers are under way already") from error
