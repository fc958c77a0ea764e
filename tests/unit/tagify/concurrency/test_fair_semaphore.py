"""FairSemaphore: rotation by client, and no permit lost or given twice."""

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st

from tagify.concurrency.fair_semaphore import FairSemaphore


async def test_a_client_with_a_long_queue_delays_another_one_by_one_permit() -> None:
    semaphore, order = FairSemaphore(1), []

    async def work(client: str) -> None:
        async with semaphore.permit(client):
            order.append(client)
            await asyncio.sleep(0)

    greedy = [asyncio.create_task(work("greedy")) for _ in range(60)]
    await asyncio.sleep(0)
    others = [asyncio.create_task(work(client)) for client in ("a", "b", "a")]
    await asyncio.gather(*greedy, *others)
    assert max(index for index, client in enumerate(order) if client != "greedy") < 8
    assert sorted(order) == ["a", "a", "b", *["greedy"] * 60]


@given(
    st.integers(1, 4), st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30), st.integers()
)
def test_permits_are_neither_lost_nor_given_twice(
    capacity: int, requests: list[tuple[str, bool]], seed: int
) -> None:
    rng, most, in_use = random.Random(seed), 0, 0

    async def work(semaphore: FairSemaphore, client: str) -> None:
        nonlocal most, in_use
        async with semaphore.permit(client):
            in_use += 1
            most = max(most, in_use)
            try:
                for _ in range(rng.randrange(3)):
                    await asyncio.sleep(0)
            finally:
                in_use -= 1

    async def run() -> None:
        semaphore = FairSemaphore(capacity)
        tasks = [asyncio.create_task(work(semaphore, client)) for client, _ in requests]
        for task, (_, cancelled) in zip(tasks, requests, strict=True):
            for _ in range(rng.randrange(3)):
                await asyncio.sleep(0)
            if cancelled and task.cancel():
                await asyncio.gather(task, return_exceptions=True)
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            for _ in range(capacity):
                group.create_task(work(semaphore, "z"))

    in_use = 0
    asyncio.run(run())
    assert most <= capacity
