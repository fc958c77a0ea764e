"""Imports wait while a disk of the servers is nearly full: a MongoDB without free space exits."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from tagify.concurrency.retry import retry_while_unavailable
from tagify.disk_space import free_megabytes
from tagify.errors import Unavailable

CHECK_INTERVAL_S = 1.0
"""A check that passed is valid this long, in seconds."""


class DiskSpaceGuard:
    """Checks the free space of the servers' disks before each import."""

    def __init__(self, folders: Sequence[Path], min_free_mb: int) -> None:
        self._folders = folders
        self._min_free_mb = min_free_mb
        self._valid_until = 0.0

    async def wait_for_space(self) -> None:
        """Return once every disk has the floor of free space; until then it counts as an outage."""
        if self._folders and time.monotonic() >= self._valid_until:
            await retry_while_unavailable("disk", self._check)

    async def _check(self) -> None:
        for folder in self._folders:
            try:
                free = await asyncio.to_thread(free_megabytes, folder)
            except OSError:
                continue  # not readable here, so it says nothing about the servers
            if free < self._min_free_mb:
                raise Unavailable(f"{folder} has {free} MB free; imports need {self._min_free_mb}")
        self._valid_until = time.monotonic() + CHECK_INTERVAL_S
