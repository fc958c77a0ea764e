"""A thread pool with a bounded queue, for blocking calls beside an event loop."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, ParamSpec, TypeVar

from tagify.errors import Busy

P = ParamSpec("P")
T = TypeVar("T")

IDLE_S = 60.0
"""A thread without a call ends after this time, in seconds."""


class ThreadPool:
    """Up to `size` threads and a queue of at most `queue` calls; a further call raises Busy at once.

    As fast as asyncio.to_thread and anyio.to_thread (0.1 to 0.2 ms per call, all of it the switch of
    threads), whose queues have no bound. Threads are daemons: one that hangs in the kernel, as at a dead
    mount, does not keep the process from its exit, as one of concurrent.futures.ThreadPoolExecutor does.
    """

    def __init__(self, name: str, size: int, queue: int = 10_000) -> None:
        self._name = name
        self._limit = size + queue
        self._threads = _Threads(name, size)
        self._calls: set[_Call[Any]] = set()
        self._drained = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Calls that run or wait for a thread."""
        return len(self._calls)

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of the call, made in a thread. Raises Busy when the queue is full.

        A cancelled caller returns at once. A call that has started runs to its end in its thread and counts
        as in flight until then, so that the bound holds.
        """
        return await self.start(call, *args, **kwargs)

    def start(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """The future result of a call. Raises Busy when the queue is full.

        Whoever cancels the future, or sets an error on it, abandons the call: if it waits it never runs; if
        it runs, its result is closed when it has a method `close`.
        """
        if len(self._calls) >= self._limit:
            raise Busy(f"{self._name}: {self._limit} calls are in progress already")
        loop = asyncio.get_running_loop()
        started = _Call(lambda: call(*args, **kwargs), loop, loop.create_future(), self._end)
        self._threads.submit(started)
        self._calls.add(started)
        started.result.add_done_callback(lambda _: self._abandon(started))
        return started.result

    async def close(self, timeout_s: float | None = None) -> None:
        """Cancel the calls that wait, and return when those that run have ended, or after the timeout."""
        self._threads.stop()
        for call in tuple(self._calls):
            if call.claim():
                self._calls.discard(call)
                call.result.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.wait_until_idle()

    async def wait_until_idle(self) -> None:
        """Return when no call is in flight."""
        if self._calls:
            await self._drained.wait()

    def _abandon(self, call: "_Call[Any]") -> None:
        """Drop a call that still waits when its result is set: it never runs."""
        if call.claim():
            self._calls.discard(call)

    def _end(self, call: "_Call[Any]") -> None:
        self._calls.discard(call)
        if not self._calls:
            self._drained.set()
            self._drained = asyncio.Event()


async def run_within(timeout_s: float, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a call in a thread for it alone. Raises TimeoutError, which abandons the call."""
    pool = ThreadPool("call", 1)
    try:
        async with asyncio.timeout(timeout_s):
            return await pool.run(call, *args, **kwargs)
    finally:
        await pool.close(0)


class _Call(Generic[T]):
    """A call. Its thread and whoever abandons it claim it: the first one decides whether it runs."""

    __slots__ = ("_claim", "_function", "_loop", "_on_end", "result")

    def __init__(
        self,
        function: Callable[[], T],
        loop: asyncio.AbstractEventLoop,
        result: asyncio.Future[T],
        on_end: Callable[["_Call[T]"], None],
    ) -> None:
        self._claim = threading.Lock()
        self._function = function
        self._loop = loop
        self._on_end = on_end
        self.result = result

    def claim(self) -> bool:
        """Whether this is the first claim. From any thread."""
        return self._claim.acquire(blocking=False)

    def run(self) -> None:
        """Run in the thread, unless the call was abandoned."""
        if not self.claim():
            return
        try:
            value = self._function()
        except BaseException as error:
            self._resolve_in_loop(self._fail, error)
        else:
            self._resolve_in_loop(self._succeed, value)

    def _resolve_in_loop(self, resolve: Callable[[Any], None], outcome: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(resolve, outcome)

    def _succeed(self, value: T) -> None:
        self._on_end(self)
        if not self.result.done():
            self.result.set_result(value)
        elif close := getattr(value, "close", None):
            threading.Thread(target=close, daemon=True).start()  # closing may block too

    def _fail(self, error: BaseException) -> None:
        self._on_end(self)
        if not self.result.done():
            self.result.set_exception(error)


class _Threads:
    """Threads that are started on demand and take calls from one queue."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._changed = threading.Condition()
        self._queue: deque[_Call[Any]] = deque()
        self._count = self._idle = self._started = 0
        self._stopped = False

    def submit(self, call: _Call[Any]) -> None:
        with self._changed:
            if self._stopped:
                raise RuntimeError(f"the thread pool {self._name} is closed")
            self._queue.append(call)
            if len(self._queue) > self._idle and self._count < self._size:
                self._count += 1
                self._started += 1
                name = f"{self._name}-{self._started}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()
            self._changed.notify()

    def stop(self) -> None:
        """End the threads, each after its call, and drop the calls that wait."""
        with self._changed:
            self._stopped = True
            self._queue.clear()
            self._changed.notify_all()

    def _serve(self) -> None:
        while (call := self._next()) is not None:
            call.run()
            del call  # the result must not stay in memory while the thread is idle

    def _next(self) -> _Call[Any] | None:
        """The next call; None when this thread has to end."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._queue or self._stopped, IDLE_S)
            self._idle -= 1
            if self._queue:
                return self._queue.popleft()
            self._count -= 1
            return None
