"""Write coalescing: merges many small concurrent writes into few large batches, one after the other.

Transactions that write to the same document conflict and retry: sixteen clients that use one tag would
spend most of their time on retries. Operations that arrive while a batch is being written wait for the
next one, which takes all of them in order of arrival, with one flush of the journal.
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
"""Maximum number of waiting operations; further ones raise Busy (back-pressure)."""


class WriteCoalescer(Generic[Op, Out]):
    """Writes operations in batches, in order of arrival, one batch at a time."""

    def __init__(
        self,
        write_batch: Callable[[Sequence[Op]], Awaitable[Sequence[Out]]],
        weight_of: Callable[[Op], int],
        *,
        max_weight: int,
    ) -> None:
        """`write_batch` writes all operations or none, and returns their results in order."""
        self._write_batch = write_batch
        self._weight_of = weight_of
        self._max_weight = max_weight
        self._waiting: deque[tuple[Op, asyncio.Future[Out]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self.lock = asyncio.Lock()
        """Held while a batch is written; other writers of the same documents acquire it too."""

    async def submit(self, operation: Op, timeout_s: float) -> Out:
        """Write an operation with the next batch; its result.

        An operation cancelled before its batch starts is not written. Raises Busy if too many wait,
        Unavailable after the timeout, and errors of `write_batch`.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise Busy("too many tag changes are waiting; retry later")
        result: asyncio.Future[Out] = asyncio.get_running_loop().create_future()
        entry = operation, result
        self._waiting.append(entry)
        if self._task is None:
            # In a new context: the deadline of the first caller does not apply to the others.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        try:
            async with asyncio.timeout(timeout_s):
                return await result
        except TimeoutError:
            raise Unavailable("MongoDB does not answer") from None
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    async def _run(self) -> None:
        try:
            while self._waiting:
                async with self.lock:
                    await self._write(self._next_batch())
        finally:
            self._task = None

    def _next_batch(self) -> list[tuple[Op, asyncio.Future[Out]]]:
        batch: list[tuple[Op, asyncio.Future[Out]]] = []
        weight = 0
        while self._waiting:
            weight += self._weight_of(self._waiting[0][0])
            if batch and weight > self._max_weight:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _write(self, batch: Sequence[tuple[Op, asyncio.Future[Out]]]) -> None:
        try:
            results = await self._write_batch([operation for operation, _ in batch])
        except CatalogError as error:
            if len(batch) == 1:
                _set_exception(batch, error)
            else:
                # One operation was refused; write each separately, so that the others succeed.
                for entry in batch:
                    await self._write([entry])
        except Exception as error:
            _set_exception(batch, error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)


def _set_exception(batch: Sequence[tuple[Op, asyncio.Future[Out]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
