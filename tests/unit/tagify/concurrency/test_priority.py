"""Turns: a bound on those who hold a place, and who is next."""

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tagify.concurrency.priority import PrioritySemaphore


async def test_what_is_live_goes_first() -> None:
    turns, order = PrioritySemaphore(1), []

    async def take(name: str, *, live: bool) -> None:
        async with turns.permit(live=live):
            order.append(name)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for name, live in (("first", False), ("second", False), ("live", True)):
            group.create_task(take(name, live=live))
    assert order == ["first", "live", "second"]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30), st.integers(1, 3))
def test_places_are_never_more_and_none_is_lost(takers: Sequence[tuple[bool, bool]], places: int) -> None:
    """Some are cancelled while they wait or while they hold one."""
    asyncio.run(_bounded(takers, places))


async def _bounded(takers: Sequence[tuple[bool, bool]], places: int) -> None:
    turns, held = PrioritySemaphore(places), 0

    async def take(live: bool) -> None:
        nonlocal held
        async with turns.permit(live=live):
            held += 1
            assert held <= places
            try:
                await asyncio.sleep(0)
            finally:
                held -= 1

    tasks = [asyncio.create_task(take(live)) for live, _ in takers]
    await asyncio.sleep(0)
    for task, (_, leaves) in zip(tasks, takers, strict=True):
        if leaves:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for _ in range(places):
        await take(False)
