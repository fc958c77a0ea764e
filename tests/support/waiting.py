"""Polling for a condition instead of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp.test_utils import TestClient

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


async def until_ready(client: TestClient[Any, Any]) -> None:
    """Wait until the service is ready."""

    async def ready() -> bool:
        async with client.get("/readyz") as response:
            return response.status == 200

    await until(ready)
