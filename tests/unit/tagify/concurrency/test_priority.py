"""PriorityQueue and PrioritySemaphore: order, bounds, and permits after a cancellation."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.concurrency.priority import PriorityQueue, PrioritySemaphore


async def test_live_items_are_returned_first_and_each_priority_in_order() -> None:
    queue = PriorityQueue[str](4)
    for item, live in (("b1", False), ("l1", True), ("b2", False), ("l2", True)):
        await queue.put(item, live=live)
    assert len(queue) == 4
    assert [await queue.get() for _ in range(4)] == ["l1", "l2", "b1", "b2"]


async def test_a_full_backlog_does_not_hold_up_live_items() -> None:
    queue = PriorityQueue[str](1)
    await queue.put("b1", live=False)
    waiting = asyncio.create_task(queue.put("b2", live=False))
    await queue.put("l1", live=True)
    await asyncio.sleep(0)
    assert not waiting.done()
    assert [await queue.get(), await queue.get()] == ["l1", "b1"]
    await waiting
    assert await queue.get() == "b2"


async def test_get_waits_for_an_item() -> None:
    queue = PriorityQueue[str](1)
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not getting.done()
    await queue.put("b1", live=False)
    assert await getting == "b1"


async def test_a_cancelled_put_adds_nothing_and_a_cancelled_get_takes_nothing() -> None:
    queue = PriorityQueue[str](1)
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    getting.cancel()
    await queue.put("b1", live=False)
    putting = asyncio.create_task(queue.put("b2", live=False))
    await asyncio.sleep(0)
    putting.cancel()
    for task in (getting, putting):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await queue.get() == "b1"
    assert len(queue) == 0


async def test_a_live_waiter_gets_the_permit_first() -> None:
    semaphore, order = PrioritySemaphore(1), []

    async def use(name: str, *, live: bool) -> None:
        async with semaphore.permit(live=live):
            order.append(name)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for name, live in (("first", False), ("second", False), ("live", True)):
            group.create_task(use(name, live=live))
    assert order == ["first", "live", "second"]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30), st.integers(1, 3))
def test_permits_are_bounded_and_none_is_lost(callers: Sequence[tuple[bool, bool]], permits: int) -> None:
    """Some callers are cancelled while they wait or while they hold a permit."""
    asyncio.run(_run(callers, permits))


async def _run(callers: Sequence[tuple[bool, bool]], permits: int) -> None:
    semaphore, active = PrioritySemaphore(permits), 0

    async def use(live: bool) -> None:
        nonlocal active
        async with semaphore.permit(live=live):
            active += 1
            assert active <= permits
            try:
                await asyncio.sleep(0)
            finally:
                active -= 1

    tasks = [asyncio.create_task(use(live)) for live, _ in callers]
    await asyncio.sleep(0)
    for task, (_, cancelled) in zip(tasks, callers, strict=True):
        if cancelled:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for _ in range(permits):
        await use(False)
