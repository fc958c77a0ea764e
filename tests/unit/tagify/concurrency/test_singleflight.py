"""One flight for many askers, whoever leaves when."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.concurrency.singleflight import SingleFlight


class Work:
    """Work that ends when it is told to, and knows how often it was begun and cancelled."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.end = asyncio.Event()

    async def __call__(self) -> str:
        self.begun += 1
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "done"


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(0, 3))
def test_the_work_goes_on_for_as_long_as_anybody_waits(stay: list[bool], joining_late: int) -> None:
    async def run() -> None:
        flights: SingleFlight[str] = SingleFlight()
        work = Work()
        askers = [asyncio.create_task(flights.run("key", work)) for _ in stay]
        await settled()
        for asker, stays in zip(askers, stay, strict=True):
            if not stays:
                asker.cancel()
        await settled()
        late = [asyncio.create_task(flights.run("key", work)) for _ in range(joining_late)]
        await settled()
        abandoned = not any(stay)
        assert work.cancelled == abandoned
        assert work.begun == (2 if abandoned and late else 1)
        work.end.set()
        answers = await asyncio.gather(*askers, *late, return_exceptions=True)
        expected = ["done" if stays else "cancelled" for stays in stay] + ["done"] * joining_late
        told = ["cancelled" if isinstance(answer, asyncio.CancelledError) else answer for answer in answers]
        assert told == expected
        assert len(flights) == 0

    asyncio.run(run())


async def test_an_error_is_everybodys_and_not_kept() -> None:
    flights: SingleFlight[str] = SingleFlight()

    async def fails() -> str:
        await asyncio.sleep(0)
        raise ValueError("no")

    answers = await asyncio.gather(*(flights.run("key", fails) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(answer, ValueError) for answer in answers)
    assert not flights.is_running("key")
    with pytest.raises(ValueError, match="no"):
        await flights.run("key", fails)
