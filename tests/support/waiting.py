"""Polling for a condition instead of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(probe: Callable[[], Awaitable[T]], *, timeout_s: float = 20.0, every_s: float = 0.02) -> T:
    """Poll until the probe returns a true value, and return it. Fails after `timeout_s`."""
    result: T | None = None
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                result = await probe()
                if result:
                    return result
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s:g} s; the last result was {result!r}") from None
