"""A semaphore over bytes: bounds the sum of the sizes that are in use at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

MAX_OVERTAKES = 32
"""Smaller reservations that may overtake a waiting larger one; then it is served next, so none starves."""

LARGEST_SHARE = 0.75
"""Upper bound of one reservation, as a share of the total: a larger request is cut to it, so that small
reservations fit beside it."""


@dataclass(slots=True)
class _Waiter:
    size: int
    admitted: asyncio.Future[None]
    overtaken: int = field(default=0)


class ByteBudget:
    """`total` bytes to reserve from. A reservation that does not fit waits; smaller ones overtake it.

    Ours, for the semaphores of asyncio and anyio count permits of one size and are strictly first come,
    first served: one large image at the head of the queue would hold up all small ones.
    """

    def __init__(self, total: int) -> None:
        self._largest = int(total * LARGEST_SHARE)
        self._available = total
        self._waiters: list[_Waiter] = []

    @property
    def available(self) -> int:
        """Bytes that are not reserved."""
        return self._available

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        """Reserve `size` bytes while the block runs, waiting for them."""
        size = min(size, self._largest)
        await self._acquire(size)
        try:
            yield
        finally:
            self._release(size)

    async def _acquire(self, size: int) -> None:
        waiter = _Waiter(size, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._admit_waiters()
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.done() and not waiter.admitted.cancelled():
                self._release(size)
            else:
                self._admit_waiters()
            raise

    def _release(self, size: int) -> None:
        self._available += size
        self._admit_waiters()

    def _admit_waiters(self) -> None:
        """Admit the waiters that fit, in order, up to one that has been overtaken MAX_OVERTAKES times."""
        remaining: list[_Waiter] = []
        blocked = False
        for waiter in self._waiters:
            if waiter.admitted.cancelled():
                continue
            if not blocked and waiter.size <= self._available:
                self._available -= waiter.size
                waiter.admitted.set_result(None)
                for overtaken in remaining:
                    overtaken.overtaken += 1
            else:
                remaining.append(waiter)
                blocked = blocked or waiter.overtaken >= MAX_OVERTAKES
        self._waiters = remaining
