"""Cancellation of tasks: one that is certain to end them, and one that waits for work to complete."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")

RECANCEL_S = 1.0
"""A cancelled task that is still running is cancelled again after this time, in seconds."""


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and return when all have ended; their results and errors are dropped.

    The cancellation is repeated, for a task can lose one: `asyncio.wait_for` of Python 3.11 drops it when
    the awaited result arrives at the same time.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=RECANCEL_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # marked as retrieved, or asyncio would log it


async def run_to_completion(work: Awaitable[T]) -> T:
    """The result of work that must not stop half-way; a cancellation is raised after it has ended.

    There is no timeout here: the work has to bound its time itself.
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
