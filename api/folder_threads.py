"""Threads for looking at folders of libraries: one that hangs holds up its own requests only."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tagify.concurrency.thread_pool import ThreadPool
from tagify.errors import Busy, Unavailable

P = ParamSpec("P")
T = TypeVar("T")

DEADLINE_S = 10.0
"""Deadline of a call, in seconds."""

MAX_FOLDERS = 64
"""Folders that are looked at concurrently, those that hang included."""


class FolderThreads:
    """A thread for each folder while it is looked at; one that hangs keeps its thread until it answers."""

    def __init__(self) -> None:
        self._pools: dict[str, ThreadPool] = {}

    async def run(self, folder: str, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that looks at the folder. Raises Unavailable at the deadline, and Busy."""
        pool = self._pool(folder)
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await pool.run(call, *args, **kwargs)
        except TimeoutError:
            raise Unavailable(f"the folder {folder} does not answer within {DEADLINE_S:g} s") from None
        finally:
            await self._close_idle()

    async def close(self) -> None:
        """End the threads, but those that hang."""
        for pool in self._pools.values():
            await pool.close(0)

    def _pool(self, folder: str) -> ThreadPool:
        if folder not in self._pools:
            if len(self._pools) >= MAX_FOLDERS:
                raise Busy(f"{MAX_FOLDERS} folders are looked at already, or do not answer")
            self._pools[folder] = ThreadPool("folder", 1)
        return self._pools[folder]

    async def _close_idle(self) -> None:
        for folder in [folder for folder, pool in self._pools.items() if not pool.in_flight]:
            await self._pools.pop(folder).close(0)
