"""Cancellation of tasks that is certain to end them, groups of tasks, and work that must complete."""

import asyncio
from collections.abc import Awaitable, Coroutine
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


async def run_until_first_ends(*work: Coroutine[Any, Any, object]) -> None:
    """Run all of `work` until one ends or fails, or until cancelled; return when all have ended.

    Raises the error of one that failed first. Not an asyncio.TaskGroup: that cancels its tasks once, and
    waits for ever for a task that loses this cancellation; MongoDB's driver can drop one.
    """
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await run_to_completion(cancel_and_wait(*tasks))
    for task in done:
        task.result()


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
