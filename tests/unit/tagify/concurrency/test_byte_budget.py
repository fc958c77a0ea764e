"""ByteBudget: the bound, small reservations that overtake large ones, and no starvation."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tagify.concurrency.byte_budget import LARGEST_SHARE, MAX_OVERTAKES, ByteBudget
from tests.support.waiting import until

TOTAL = 1000


async def _reserve(budget: ByteBudget, size: int, done: asyncio.Event, admitted: list[int]) -> None:
    async with budget.reserve(size):
        admitted.append(size)
        await done.wait()


@given(st.lists(st.tuples(st.integers(0, 2 * TOTAL), st.booleans()), max_size=20))
def test_reservations_never_exceed_the_total_and_are_all_released(requests: list[tuple[int, bool]]) -> None:
    """Some are cancelled while they wait or while they hold their bytes."""

    async def run() -> None:
        budget, done = ByteBudget(TOTAL), asyncio.Event()
        admitted: list[int] = []
        tasks = [asyncio.create_task(_reserve(budget, size, done, admitted)) for size, _ in requests]
        await asyncio.sleep(0)
        assert budget.available >= 0
        for task, (_, cancelled) in zip(tasks, requests, strict=True):
            if cancelled:
                task.cancel()
        await asyncio.sleep(0)
        done.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert budget.available == TOTAL
        assert len(admitted) >= len([size for size, cancelled in requests if not cancelled])

    asyncio.run(run())


async def test_small_reservations_fit_beside_the_largest_one() -> None:
    budget, done = ByteBudget(TOTAL), asyncio.Event()
    admitted: list[int] = []
    sizes = (9 * TOTAL, 9 * TOTAL, 100)
    tasks = [asyncio.create_task(_reserve(budget, size, done, admitted)) for size in sizes]
    await until(lambda: _has(admitted, 2))
    assert admitted == [9 * TOTAL, 100]
    assert budget.available == TOTAL - int(TOTAL * LARGEST_SHARE) - 100
    done.set()
    await asyncio.gather(*tasks)


async def test_a_reservation_that_was_overtaken_often_enough_is_served_next() -> None:
    budget, release = ByteBudget(TOTAL), asyncio.Event()
    admitted: list[int] = []
    first = asyncio.create_task(_reserve(budget, 500, release, admitted))
    await until(lambda: _has(admitted, 1))
    waiting = asyncio.create_task(_reserve(budget, 700, release, admitted))
    await asyncio.sleep(0)
    for _ in range(MAX_OVERTAKES):
        async with budget.reserve(10):
            pass
    last = asyncio.create_task(_reserve(budget, 10, release, admitted))
    await asyncio.sleep(0)
    assert admitted == [500]
    release.set()
    await asyncio.gather(first, waiting, last)
    assert admitted == [500, 700, 10]


async def _has(admitted: list[int], number: int) -> bool:
    return len(admitted) >= number
