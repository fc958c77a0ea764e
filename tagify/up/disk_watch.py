"""The free space of the data folder, while `tagify up` runs."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from tagify.disk_space import free_megabytes

POLL_S = 1.0


class DiskWatch:
    """Prints one line when the disk has less than the floor of free space, and one when it has more again."""

    def __init__(self, folder: Path, min_free_mb: int, print_line: Callable[[str], None]) -> None:
        self._folder = folder
        self._min_free_mb = min_free_mb
        self._print_line = print_line
        self._was_full = False

    def is_full(self) -> bool:
        """Whether there is less free space than the floor; prints a change."""
        free = free_megabytes(self._folder)
        is_full = free < self._min_free_mb
        if is_full and not self._was_full:
            self._print_line(
                f"the disk is full: {self._folder} has {free} MB free; "
                f"imports wait until there are {self._min_free_mb}"
            )
        elif self._was_full and not is_full:
            self._print_line(f"the disk has space again: {free} MB; imports continue")
        self._was_full = is_full
        return is_full

    async def wait_for_space(self) -> None:
        """Wait until there is as much free space as the floor."""
        while self.is_full():  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(POLL_S)

    async def run(self) -> None:
        """Print changes until cancelled."""
        while True:
            self.is_full()
            await asyncio.sleep(POLL_S)
