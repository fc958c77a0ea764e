"""ThreadPool: results, errors, the bound, cancellation and the end."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from tagify.concurrency.thread_pool import ThreadPool
from tagify.errors import Busy
from tests.support.waiting import until


@pytest.fixture
async def pool() -> AsyncIterator[ThreadPool]:
    pool = ThreadPool("test", 1, queue=1)
    yield pool
    await pool.close()


def _add(first: int, second: int = 0) -> int:
    return first + second


def _fail() -> None:
    raise ValueError("no")


async def _is_idle(pool: ThreadPool) -> bool:
    return pool.in_flight == 0


async def test_a_call_returns_its_result_or_raises_its_error(pool: ThreadPool) -> None:
    assert await pool.run(_add, 1, second=2) == 3
    with pytest.raises(ValueError, match="no"):
        await pool.run(_fail)
    await until(lambda: _is_idle(pool))


async def test_a_call_runs_in_a_named_thread(pool: ThreadPool) -> None:
    thread = await pool.run(threading.current_thread)
    assert thread is not threading.current_thread()
    assert thread.name.startswith("test")


async def test_a_call_beyond_the_queue_is_refused_at_once(pool: ThreadPool) -> None:
    go = threading.Event()
    running, queued = (asyncio.create_task(pool.run(go.wait)) for _ in range(2))
    await asyncio.sleep(0)
    with pytest.raises(Busy, match="test: 2 calls"):
        await pool.run(_add, 1)
    assert pool.in_flight == 2
    go.set()
    assert all(await asyncio.gather(running, queued))
    await until(lambda: _is_idle(pool))
    assert await pool.run(_add, 1) == 1


async def test_a_cancelled_caller_returns_at_once_and_its_call_stays_in_flight(pool: ThreadPool) -> None:
    started, go = threading.Event(), threading.Event()

    def block() -> None:
        started.set()
        go.wait()

    task = asyncio.create_task(pool.run(block))
    await asyncio.to_thread(started.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pool.in_flight == 1
    go.set()
    await until(lambda: _is_idle(pool))


async def test_a_cancelled_call_that_has_not_started_never_runs(pool: ThreadPool) -> None:
    go, calls = threading.Event(), list[int]()
    running = asyncio.create_task(pool.run(go.wait))
    queued = asyncio.create_task(pool.run(calls.append, 1))
    await asyncio.sleep(0)
    queued.cancel()
    await asyncio.sleep(0)
    go.set()
    await running
    await until(lambda: _is_idle(pool))
    assert calls == []


async def test_close_drops_waiting_calls_and_waits_for_the_running_one() -> None:
    pool, started, go, ended = ThreadPool("test", 1), threading.Event(), threading.Event(), threading.Event()

    def block() -> None:
        started.set()
        go.wait()
        ended.set()

    running = asyncio.create_task(pool.run(block))
    queued = asyncio.create_task(pool.run(_add, 1))
    await asyncio.to_thread(started.wait)
    closing = asyncio.create_task(pool.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    go.set()
    await closing
    assert ended.is_set()
    await running
    with pytest.raises(asyncio.CancelledError):
        await queued
