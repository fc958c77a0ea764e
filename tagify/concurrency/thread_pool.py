"""Synchronous drivers beside an event loop: a few threads, and a bound on who waits for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from tagify.errors import Busy

P = ParamSpec("P")
T = TypeVar("T")


class ThreadPool:
    """`size` threads and at most `queue` calls that wait for one; a further call raises Busy at once."""

    def __init__(self, name: str, size: int, queue: int = 10_000) -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._name = name
        self._limit = size + queue
        self._held = 0

    @property
    def in_flight(self) -> int:
        """Calls that run or wait now."""
        return self._held

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call made in a thread. Raises Busy when too many wait already.

        A caller that is cancelled leaves at once; a call that has begun goes on to its end in
        its thread and holds its place until then, so that the bound is a true one.
        """
        if self._held >= self._limit:
            raise Busy(f"{self._name}: {self._limit} calls are under way already")
        loop = asyncio.get_running_loop()
        self._held += 1
        future = self._executor.submit(call, *args, **kwargs)
        future.add_done_callback(lambda done: self._release(loop, done))
        return await asyncio.wrap_future(future)

    def _release(self, loop: asyncio.AbstractEventLoop, _: Future[T]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._count_down)

    def _count_down(self) -> None:
        self._held -= 1

    async def close(self) -> None:
        """Drop what waits; wait for what runs."""
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
