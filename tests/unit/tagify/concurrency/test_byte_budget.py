"""Admission by size: never more than the whole, small ones pass, and nobody starves."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tagify.concurrency.byte_budget import LARGEST_SHARE, MAX_OVERTAKES, ByteBudget
from tests.support.waiting import until

TOTAL = 1000


async def _hold(budget: ByteBudget, cost: int, done: asyncio.Event, begun: list[int]) -> None:
    async with budget.reserve(cost):
        begun.append(cost)
        await done.wait()


@given(st.lists(st.tuples(st.integers(0, 2 * TOTAL), st.booleans()), max_size=20))
def test_what_is_held_never_exceeds_the_whole_and_comes_back(asked: list[tuple[int, bool]]) -> None:
    async def run() -> None:
        budget, done = ByteBudget(TOTAL), asyncio.Event()
        begun: list[int] = []
        tasks = [asyncio.create_task(_hold(budget, cost, done, begun)) for cost, _ in asked]
        await asyncio.sleep(0)
        assert budget.available >= 0
        for task, (_, leaves) in zip(tasks, asked, strict=True):
            if leaves:
                task.cancel()
        await asyncio.sleep(0)
        done.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert budget.available == TOTAL
        stayed = [cost for cost, leaves in asked if not leaves]
        assert len(begun) >= len(stayed)

    asyncio.run(run())


async def test_small_ones_pass_a_large_one_that_holds_all_it_may() -> None:
    budget, done = ByteBudget(TOTAL), asyncio.Event()
    begun: list[int] = []
    tasks = [asyncio.create_task(_hold(budget, cost, done, begun)) for cost in (9 * TOTAL, 9 * TOTAL, 100)]
    await until(lambda: _has(begun, 2))
    assert begun == [9 * TOTAL, 100]
    assert budget.available == TOTAL - int(TOTAL * LARGEST_SHARE) - 100
    done.set()
    await asyncio.gather(*tasks)


async def test_one_that_was_passed_often_enough_has_its_turn() -> None:
    budget, release = ByteBudget(TOTAL), asyncio.Event()
    begun: list[int] = []
    first = asyncio.create_task(_hold(budget, 500, release, begun))
    await until(lambda: _has(begun, 1))
    waits = asyncio.create_task(_hold(budget, 700, release, begun))
    await asyncio.sleep(0)
    for _ in range(MAX_OVERTAKES):
        async with budget.reserve(10):
            pass
    last = asyncio.create_task(_hold(budget, 10, release, begun))
    await asyncio.sleep(0)
    assert begun == [500]
    release.set()
    await asyncio.gather(first, waits, last)
    assert begun == [500, 700, 10]


async def _has(begun: list[int], number: int) -> bool:
    return len(begun) >= number
