"""A thread pool with a bounded queue, for blocking calls beside an event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from tagify.errors import Busy

P = ParamSpec("P")
T = TypeVar("T")


class ThreadPool:
    """`size` threads and a queue of at most `queue` calls; a further call raises Busy at once.

    As fast as asyncio.to_thread and anyio.to_thread (0.1 to 0.2 ms per call, all of it the switch of
    threads), whose queues have no bound.
    """

    def __init__(self, name: str, size: int, queue: int = 10_000) -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._name = name
        self._limit = size + queue
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """Calls that run or wait for a thread."""
        return self._in_flight

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of the call, made in a thread. Raises Busy when the queue is full.

        A cancelled caller returns at once. A call that has started runs to its end in its thread and counts
        as in flight until then, so that the bound holds.
        """
        if self._in_flight >= self._limit:
            raise Busy(f"{self._name}: {self._limit} calls are in progress already")
        loop = asyncio.get_running_loop()
        self._in_flight += 1
        future = self._executor.submit(call, *args, **kwargs)
        future.add_done_callback(lambda done: self._release(loop, done))
        return await asyncio.wrap_future(future)

    def _release(self, loop: asyncio.AbstractEventLoop, _: Future[T]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._decrement)

    def _decrement(self) -> None:
        self._in_flight -= 1

    async def close(self) -> None:
        """Cancel the calls that wait, and return when those that run have ended."""
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
