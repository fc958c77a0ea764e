"""Shared answers: one at a time for a question, and none older than its question."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.concurrency.coalesce import ReadCoalescer
from tagify.metrics import Metrics

Answers = ReadCoalescer[int]


def shared() -> Answers:
    return Answers(Metrics().counter("joined_total", "Joined."))


class Source:
    """Something that changes, and takes a while to be read."""

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


async def test_those_who_ask_while_it_is_answered_share_the_next_answer() -> None:
    answers, source = shared(), Source()
    first = asyncio.create_task(answers.run("a", source.read))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    source.value = 1
    later = [asyncio.create_task(answers.run("a", source.read)) for _ in range(5)]
    await asyncio.sleep(0)
    source.gate.set()
    assert await first == 0
    assert await asyncio.gather(*later) == [1] * 5
    assert source.reads == 2


@given(st.lists(st.sampled_from(["ask", "change", "pass", "leave"]), max_size=40))
def test_no_answer_is_older_than_its_question(steps: list[str]) -> None:
    async def run() -> None:
        answers, source = shared(), Source()
        asked: list[tuple[int, asyncio.Task[int]]] = []
        for step in steps:
            if step == "ask":
                asked.append((source.value, asyncio.create_task(answers.run("q", source.read))))
            elif step == "change":
                source.value += 1
            elif step == "leave" and asked:
                asked.pop()[1].cancel()
            else:
                source.gate.set()
            await asyncio.sleep(0)
            source.gate.clear()
        source.gate.set()
        source.gate.clear = lambda: None  # type: ignore[method-assign]
        for value, task in asked:
            assert await task >= value

    asyncio.run(run())


async def test_different_questions_do_not_wait_for_each_other() -> None:
    answers, slow, quick = shared(), Source(), Source()
    quick.gate.set()
    waiting = asyncio.create_task(answers.run("slow", slow.read))
    assert await answers.run("quick", quick.read) == 0
    slow.gate.set()
    assert await waiting == 0


async def test_an_error_is_for_those_who_shared_it_and_not_for_the_next() -> None:
    answers, fails = shared(), [True, False]

    async def make() -> int:
        await asyncio.sleep(0)
        if fails.pop(0):
            raise ValueError
        return 7

    first, second = (asyncio.create_task(answers.run("q", make)) for _ in range(2))
    with pytest.raises(ValueError):
        await first
    assert await second == 7


async def test_who_leaves_takes_the_answer_from_nobody_else() -> None:
    answers, source = shared(), Source()
    first = asyncio.create_task(answers.run("q", source.read))
    await asyncio.sleep(0)
    leaves, stays = (asyncio.create_task(answers.run("q", source.read)) for _ in range(2))
    await asyncio.sleep(0)
    leaves.cancel()
    first.cancel()
    source.gate.set()
    assert await stays == 0
