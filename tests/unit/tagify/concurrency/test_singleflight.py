"""SingleFlight: one run for concurrent callers, whichever of them are cancelled."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.concurrency.singleflight import SingleFlight


class Work:
    """Work that runs until `finish` is set, and counts its starts and cancellations."""

    def __init__(self) -> None:
        self.started = 0
        self.cancelled = 0
        self.finish = asyncio.Event()

    async def __call__(self) -> str:
        self.started += 1
        try:
            await self.finish.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "done"


async def run_pending_callbacks() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(0, 3))
def test_the_work_runs_while_a_caller_waits_for_it(stays: list[bool], late_callers: int) -> None:
    async def run() -> None:
        flights: SingleFlight[str] = SingleFlight()
        work = Work()
        callers = [asyncio.create_task(flights.run("key", work)) for _ in stays]
        await run_pending_callbacks()
        for caller, stays_on in zip(callers, stays, strict=True):
            if not stays_on:
                caller.cancel()
        await run_pending_callbacks()
        late = [asyncio.create_task(flights.run("key", work)) for _ in range(late_callers)]
        await run_pending_callbacks()
        abandoned = not any(stays)
        assert work.cancelled == abandoned
        assert work.started == (2 if abandoned and late else 1)
        work.finish.set()
        outcomes = await asyncio.gather(*callers, *late, return_exceptions=True)
        expected = ["done" if stays_on else "cancelled" for stays_on in stays] + ["done"] * late_callers
        assert [
            "cancelled" if isinstance(outcome, asyncio.CancelledError) else outcome for outcome in outcomes
        ] == expected
        assert len(flights) == 0

    asyncio.run(run())


async def test_different_keys_run_separately() -> None:
    flights: SingleFlight[str] = SingleFlight()
    first, second = Work(), Work()
    tasks = [asyncio.create_task(flights.run(key, work)) for key, work in (("a", first), ("b", second))]
    await run_pending_callbacks()
    assert flights.is_running("a")
    assert len(flights) == 2
    first.finish.set()
    second.finish.set()
    assert await asyncio.gather(*tasks) == ["done", "done"]
    assert not flights.is_running("a")


async def test_an_error_is_raised_in_every_caller_and_not_kept() -> None:
    flights: SingleFlight[str] = SingleFlight()

    async def fails() -> str:
        await asyncio.sleep(0)
        raise ValueError("no")

    outcomes = await asyncio.gather(*(flights.run("key", fails) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(outcome, ValueError) for outcome in outcomes)
    assert not flights.is_running("key")
    with pytest.raises(ValueError, match="no"):
        await flights.run("key", fails)


async def test_the_end_of_a_cancelled_run_does_not_evict_its_successor() -> None:
    """The cancelled work takes a while to end; callers that come after its end join the successor."""
    flights: SingleFlight[str] = SingleFlight()
    cleanup, second = asyncio.Event(), Work()

    async def slow_to_end() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            await cleanup.wait()
        return "never"

    abandoned = asyncio.create_task(flights.run("key", slow_to_end))
    await run_pending_callbacks()
    abandoned.cancel()
    await run_pending_callbacks()
    successor = asyncio.create_task(flights.run("key", second))
    await run_pending_callbacks()
    cleanup.set()
    await run_pending_callbacks()
    assert flights.is_running("key")
    joined = asyncio.create_task(flights.run("key", second))
    await run_pending_callbacks()
    assert (second.started, len(flights)) == (1, 1)
    second.finish.set()
    assert [await successor, await joined] == ["done", "done"]
    assert len(flights) == 0
