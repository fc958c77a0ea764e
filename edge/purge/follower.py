"""Removals followed by a cache: what is stored no more is forgotten there too."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from tagify.catalog import PurgeEntry, PurgeLog
from tagify.concurrency.retry import Backoff, retry
from tagify.errors import TagifyError
from tagify.metrics import Counter

logger = logging.getLogger(__name__)

UNDER_WAY_S = 30.0
"""Age of a removal that is acted upon, in seconds: what was being made of the content then is made by now."""

POLL_S = 5.0
"""Time between two looks for removals, in seconds."""

LONGEST_WAIT_S = 300.0
"""Longest time between two attempts at what fails, in seconds."""

BATCH = 100


class Follower:
    """Has one cache forget what was removed, in the order of removals.

    How far it came is kept in a file beside the cache, so that nothing is left out by a restart.
    """

    def __init__(
        self,
        purges: PurgeLog,
        file: Path,
        forget: Callable[[PurgeEntry], Awaitable[None]],
        forgotten: Counter,
        *,
        age_s: float,
    ) -> None:
        """`age_s`: how long a removal waits; a cache that is filled from another waits longer than that."""
        self._purges = purges
        self._file = file
        self._forget = forget
        self._forgotten = forgotten
        self._age_s = age_s
        self._place = ""

    async def run(self) -> None:
        """Until cancelled."""
        self._place = await asyncio.to_thread(self._read)
        backoff = Backoff(2 * POLL_S, LONGEST_WAIT_S)
        while True:
            more = await retry(
                self._batch, on=(TagifyError, OSError), backoff=backoff, on_failure=self._warn_once
            )
            await asyncio.sleep(0.0 if more else POLL_S)

    def _warn_once(self, failures: int, error: Exception) -> None:
        if failures == 1:
            logger.warning("removed images wait to be forgotten by %s: %s", self._file.stem, error)

    async def _batch(self) -> bool:
        """Forget some; whether there may be more."""
        purges = await self._purges.read_after(self._place, self._age_s, BATCH)
        for purge in purges:
            await self._forget(purge)
            self._forgotten.add(cache=self._file.stem)
        if purges:
            self._place = purges[-1].offset
            await asyncio.to_thread(self._write)
        return len(purges) == BATCH

    def _read(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            return PurgeEntry.parse_offset(self._file.read_text())
        return ""

    def _write(self) -> None:
        # Not atomic, for several edges may write here: a place that cannot be read is the first one.
        self._file.write_text(self._place)
