"""A semaphore whose waiters are served round-robin by client (fair queueing)."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tagify import waits


class FairSemaphore:
    """`capacity` permits. While they are taken, each client has a queue of its own, served in rotation.

    A client with a long queue delays another one by a permit, not by its queue.
    """

    def __init__(self, capacity: int) -> None:
        self._free = capacity
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def permit(self, client: str) -> AsyncIterator[None]:
        """Hold a permit during the block; waits for one."""
        await self._acquire(client)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, client: str) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(client, deque()).append(turn)
        try:
            with waits.Waiting("queue"):
                await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()
            raise

    def _release(self) -> None:
        """Hand the permit to the next client's first waiter, else free it."""
        while self._queues:
            client, queue = self._queues.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._queues[client] = queue
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
