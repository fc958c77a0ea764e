"""Ending tasks for certain."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")

RECANCEL_S = 1.0
"""A task that has not ended is cancelled once more after this time, in seconds."""


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and return when all have ended, however they end.

    A cancellation can be lost where a library waits for two things at once (`asyncio.wait_for`
    of Python 3.11 does); so it is said again until it is heard.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=RECANCEL_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # retrieved: whoever ends a task does not wait for its outcome


async def run_to_completion(work: Awaitable[T]) -> T:
    """The result of what must not be left half done; a cancellation is heard once it is through.

    `work` bounds its own time: nothing else does.
    """
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return task.result()
