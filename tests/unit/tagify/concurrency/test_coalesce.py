"""ReadCoalescer: one read per key at a time, and no result older than its request."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.concurrency.coalesce import ReadCoalescer
from tagify.metrics import Metrics

Coalescer = ReadCoalescer[int]


def coalescer() -> Coalescer:
    return Coalescer(Metrics().counter("joined_total", "Joined."))


class Source:
    """A value that changes, and whose read ends when `gate` is set."""

    def __init__(self) -> None:
        self.value = 0
        self.reads = 0
        self.reading = 0
        self.gate = asyncio.Event()

    async def read(self) -> int:
        self.reads += 1
        self.reading += 1
        assert self.reading == 1
        value = self.value
        await self.gate.wait()
        self.reading -= 1
        return value


async def test_callers_during_a_read_share_the_next_one() -> None:
    reads, source = coalescer(), Source()
    first = asyncio.create_task(reads.run("a", source.read))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    source.value = 1
    later = [asyncio.create_task(reads.run("a", source.read)) for _ in range(5)]
    await asyncio.sleep(0)
    source.gate.set()
    assert await first == 0
    assert await asyncio.gather(*later) == [1] * 5
    assert source.reads == 2


@given(st.lists(st.sampled_from(["request", "change", "finish", "cancel"]), max_size=40))
def test_no_result_is_older_than_its_request(steps: list[str]) -> None:
    async def run() -> None:
        reads, source = coalescer(), Source()
        requests: list[tuple[int, asyncio.Task[int]]] = []
        for step in steps:
            if step == "request":
                requests.append((source.value, asyncio.create_task(reads.run("q", source.read))))
            elif step == "change":
                source.value += 1
            elif step == "cancel" and requests:
                requests.pop()[1].cancel()
            else:
                source.gate.set()
            await asyncio.sleep(0)
            source.gate.clear()
        source.gate.set()
        source.gate.clear = lambda: None  # type: ignore[method-assign]
        for value, task in requests:
            assert await task >= value

    asyncio.run(run())


async def test_different_keys_do_not_wait_for_each_other() -> None:
    reads, slow, quick = coalescer(), Source(), Source()
    quick.gate.set()
    waiting = asyncio.create_task(reads.run("slow", slow.read))
    assert await reads.run("quick", quick.read) == 0
    slow.gate.set()
    assert await waiting == 0


async def test_an_error_is_raised_in_its_callers_and_not_in_the_next() -> None:
    reads, fails = coalescer(), [True, False]

    async def read() -> int:
        await asyncio.sleep(0)
        if fails.pop(0):
            raise ValueError
        return 7

    first, second = (asyncio.create_task(reads.run("q", read)) for _ in range(2))
    with pytest.raises(ValueError):
        await first
    assert await second == 7


async def test_a_cancelled_caller_does_not_cancel_the_read_of_the_others() -> None:
    reads, source = coalescer(), Source()
    first = asyncio.create_task(reads.run("q", source.read))
    await asyncio.sleep(0)
    cancelled, stays = (asyncio.create_task(reads.run("q", source.read)) for _ in range(2))
    await asyncio.sleep(0)
    cancelled.cancel()
    first.cancel()
    source.gate.set()
    assert await stays == 0
