"""TimedSemaphore: the bound, the bounded wait, and permits after a cancellation."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.concurrency.limiter import TimedSemaphore
from tagify.errors import Busy
from tagify.metrics import Metrics


class Limited:
    def __init__(self, capacity: int, wait_s: float, max_waiting: int | None = None) -> None:
        self._metrics = Metrics()
        self.semaphore = TimedSemaphore(
            capacity,
            wait_s=wait_s,
            in_use=self._metrics.gauge("in_use", "Permits in use."),
            what="transfers",
            max_waiting=max_waiting,
        )

    @property
    def in_use(self) -> int:
        page = self._metrics.exposition()[0].decode()
        return int(page.rpartition(" ")[2])


async def test_the_gauge_shows_the_permits_in_use() -> None:
    limited = Limited(2, wait_s=1)
    assert limited.in_use == 0
    await limited.semaphore.acquire()
    await limited.semaphore.acquire()
    assert limited.in_use == 2
    limited.semaphore.release()
    assert limited.in_use == 1


async def test_a_caller_without_a_permit_is_refused_after_the_wait() -> None:
    limited = Limited(1, wait_s=0.01)
    await limited.semaphore.acquire()
    with pytest.raises(Busy, match="1 transfers are in progress already"):
        await limited.semaphore.acquire()
    assert limited.in_use == 1
    limited.semaphore.release()
    await limited.semaphore.acquire()


async def test_a_waiting_caller_gets_the_permit_that_is_released() -> None:
    limited = Limited(1, wait_s=10)
    await limited.semaphore.acquire()
    waiting = asyncio.create_task(limited.semaphore.acquire())
    await asyncio.sleep(0)
    assert not waiting.done()
    limited.semaphore.release()
    await waiting
    assert limited.in_use == 1


async def test_a_caller_that_finds_the_queue_full_is_refused_at_once() -> None:
    limited, running, release = Limited(2, wait_s=10, max_waiting=2), [], asyncio.Event()

    async def call(number: int) -> None:
        await limited.semaphore.acquire()
        running.append(number)
        await release.wait()
        limited.semaphore.release()

    calls = [asyncio.create_task(call(number)) for number in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(Busy, match="2 transfers are waiting already"):
        await call(4)
    assert running == [0, 1]
    release.set()
    await asyncio.gather(*calls)
    assert running == [0, 1, 2, 3]


async def test_the_queue_has_capacity_again_after_the_wait() -> None:
    limited = Limited(1, wait_s=0.01, max_waiting=1)
    await limited.semaphore.acquire()
    for _ in range(2):
        with pytest.raises(Busy, match="in progress already"):
            await limited.semaphore.acquire()
    limited.semaphore.release()
    await limited.semaphore.acquire()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=20), st.integers(1, 3))
def test_permits_are_bounded_and_none_is_lost(callers: Sequence[tuple[bool, int]], capacity: int) -> None:
    """Some callers are cancelled while they wait or while they hold a permit."""
    asyncio.run(_run(callers, capacity))


async def _run(callers: Sequence[tuple[bool, int]], capacity: int) -> None:
    limited, active = Limited(capacity, wait_s=10), 0

    async def use(steps: int) -> None:
        nonlocal active
        await limited.semaphore.acquire()
        active += 1
        assert active <= capacity
        try:
            for _ in range(steps):
                await asyncio.sleep(0)
        finally:
            active -= 1
            limited.semaphore.release()

    tasks = [asyncio.create_task(use(steps)) for _, steps in callers]
    await asyncio.sleep(0)
    for task, (cancelled, _) in zip(tasks, callers, strict=True):
        if cancelled:
            task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert limited.in_use == 0
    for _ in range(capacity):
        await asyncio.wait_for(limited.semaphore.acquire(), 1)
