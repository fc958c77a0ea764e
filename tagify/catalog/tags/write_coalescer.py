"""Many small writes that would be in each other's way become a few large ones, one after the other.

Transactions that meet at one document undo each other: sixteen clients that use one tag would spend
their time on repeating. Here whoever comes while a batch is being written waits for the next, which
takes all that wait: nobody is overtaken, and one flush of the journal serves them all.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from tagify.catalog.errors import CatalogError
from tagify.errors import Busy, Unavailable

Op = TypeVar("Op")
Out = TypeVar("Out")

MAX_WAITING = 2000
"""Operations that may wait; more are answered with Busy."""


class WriteCoalescer(Generic[Op, Out]):
    """Runs operations in batches, in the order in which they come, one batch at a time."""

    def __init__(
        self,
        work: Callable[[Sequence[Op]], Awaitable[Sequence[Out]]],
        weigh: Callable[[Op], int],
        *,
        limit: int,
    ) -> None:
        """`work` does a batch, all or nothing, and gives each an outcome; a batch weighs up to `limit`."""
        self._work = work
        self._weigh = weigh
        self._limit = limit
        self._waiting: deque[tuple[Op, asyncio.Future[Out]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self.lock = asyncio.Lock()
        """Held while a batch is worked on; others who write the same documents hold it too."""

    async def submit(self, operation: Op, timeout_s: float) -> Out:
        """Its outcome. Raises Busy where too many wait, Unavailable after the time, what `work` raised.

        An operation that is given up before its batch has begun is not done.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise Busy("too many changes of tags wait to be written")
        done: asyncio.Future[Out] = asyncio.get_running_loop().create_future()
        entry = operation, done
        self._waiting.append(entry)
        if self._task is None:
            # In a context of its own: the deadline of whoever came first is not that of the others.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        try:
            async with asyncio.timeout(timeout_s):
                return await done
        except TimeoutError:
            raise Unavailable("MongoDB does not answer") from None
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    async def _run(self) -> None:
        try:
            while self._waiting:
                async with self.lock:
                    await self._batch(self._take())
        finally:
            self._task = None

    def _take(self) -> list[tuple[Op, asyncio.Future[Out]]]:
        batch: list[tuple[Op, asyncio.Future[Out]]] = []
        weight = 0
        while self._waiting:
            weight += self._weigh(self._waiting[0][0])
            if batch and weight > self._limit:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _batch(self, batch: Sequence[tuple[Op, asyncio.Future[Out]]]) -> None:
        try:
            outcomes = await self._work([operation for operation, _ in batch])
        except CatalogError as error:
            if len(batch) == 1:
                _fail(batch, error)
            else:
                # One of them is to blame, and the others shall not suffer for it.
                for entry in batch:
                    await self._batch([entry])
        except Exception as error:
            _fail(batch, error)
        else:
            for (_, done), outcome in zip(batch, outcomes, strict=True):
                if not done.done():
                    done.set_result(outcome)


def _fail(batch: Sequence[tuple[Op, asyncio.Future[Out]]], error: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(error)
