"""Waiting for a condition, never for a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(probe: Callable[[], Awaitable[T]], *, timeout_s: float = 20.0, every_s: float = 0.02) -> T:
    """The first true answer of the probe. Fails with its last answer when there is none in time."""
    answer: T | None = None
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                answer = await probe()
                if answer:
                    return answer
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s:g} s; the last answer was {answer!r}") from None
