"""Answers shared by all who ask the same at the same time.

When something changes, every open page asks for the tags and the first images again, all at once.
The database is asked for one answer at a time to each question: who asks while it is under way gets
the next one, together with all others who do. So nobody is given an answer that was begun before the
question, and what a client was told of, or has written itself, is always in it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from tagify.metrics import Counter

T = TypeVar("T")

Make = Callable[[], Awaitable[T]]


class ReadCoalescer(Generic[T]):
    """For each question the answer that is under way, and the one that begins when that is done."""

    def __init__(self, joined: Counter) -> None:
        self._joined = joined
        self._running: dict[Hashable, asyncio.Task[T]] = {}
        self._next: dict[Hashable, asyncio.Task[T]] = {}

    async def run(self, question: Hashable, make: Make[T]) -> T:
        """An answer that is begun from now on. Who leaves early takes it from nobody else."""
        task = self._next.get(question)
        if task is not None:
            self._joined.add()
        elif (running := self._running.get(question)) is not None:
            task = self._task(self._after(running, question, make))
            self._next[question] = task
        else:
            task = self._task(self._begin(question, make))
            self._running[question] = task
        return await asyncio.shield(task)

    def _task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        task.add_done_callback(_retrieve)
        return task

    async def _after(self, running: asyncio.Task[T], question: Hashable, make: Make[T]) -> T:
        await asyncio.wait({running})
        self._running[question] = self._next.pop(question)
        return await self._begin(question, make)

    async def _begin(self, question: Hashable, make: Make[T]) -> T:
        task = asyncio.current_task()
        try:
            return await make()
        finally:
            if self._running.get(question) is task:
                del self._running[question]


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # retrieved: all who asked may have left
