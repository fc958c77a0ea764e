"""Admission by size: the sum of what is held at a time has a bound, however many hold it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

MAX_OVERTAKES = 32
"""So many smaller ones may go before one that waits; then it is its turn."""

LARGEST_SHARE = 0.75
"""No one holds more than this share of the whole, whatever it asks for: small ones always find room."""


@dataclass(slots=True)
class _Waiting:
    cost: int
    admitted: asyncio.Future[None]
    passed: int = field(default=0)


class ByteBudget:
    """A number of bytes that can be held. Who asks for more than is left waits; smaller ones may pass."""

    def __init__(self, total: int) -> None:
        self._largest = int(total * LARGEST_SHARE)
        self._left = total
        self._waiting: list[_Waiting] = []

    @property
    def available(self) -> int:
        """Bytes that nobody holds."""
        return self._left

    @asynccontextmanager
    async def reserve(self, cost: int) -> AsyncIterator[None]:
        """Hold `cost` bytes for as long as the block lasts."""
        cost = min(cost, self._largest)
        await self._admit(cost)
        try:
            yield
        finally:
            self._give_back(cost)

    async def _admit(self, cost: int) -> None:
        waiting = _Waiting(cost, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._next()
        try:
            await waiting.admitted
        except asyncio.CancelledError:
            if waiting.admitted.done() and not waiting.admitted.cancelled():
                self._give_back(cost)
            else:
                self._next()
            raise

    def _give_back(self, cost: int) -> None:
        self._left += cost
        self._next()

    def _next(self) -> None:
        """Admit all that fit, in order; one that was passed often enough holds up those behind it."""
        stay: list[_Waiting] = []
        held_up = False
        for waiting in self._waiting:
            if waiting.admitted.cancelled():
                continue
            if not held_up and waiting.cost <= self._left:
                self._left -= waiting.cost
                waiting.admitted.set_result(None)
                for passed in stay:
                    passed.passed += 1
            else:
                stay.append(waiting)
                held_up = held_up or waiting.passed >= MAX_OVERTAKES
        self._waiting = stay
