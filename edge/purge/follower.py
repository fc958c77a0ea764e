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

PURGE_DELAY_S = 30.0
"""Age of a removal that is acted upon, in seconds: what was being made of the content then is made by now."""

POLL_S = 5.0
"""Time between two looks for removals, in seconds."""

MAX_BACKOFF_S = 300.0
"""Longest time between two attempts at what fails, in seconds."""

BATCH_SIZE = 100


class PurgeFollower:
    """Has one cache forget what was removed, in the order of removals.

    How far it came is kept in a file beside the cache, so that nothing is left out by a restart.
    """

    def __init__(
        self,
        purges: PurgeLog,
        offset_file: Path,
        invalidate: Callable[[PurgeEntry], Awaitable[None]],
        invalidations: Counter,
        *,
        delay_s: float,
    ) -> None:
        """`age_s`: how long a removal waits; a cache that is filled from another waits longer than that."""
        self._purges = purges
        self._offset_file = offset_file
        self._invalidate = invalidate
        self._invalidations = invalidations
        self._delay_s = delay_s
        self._offset = ""

    async def run(self) -> None:
        """Until cancelled."""
        self._offset = await asyncio.to_thread(self._load_offset)
        backoff = Backoff(2 * POLL_S, MAX_BACKOFF_S)
        while True:
            more = await retry(
                self._apply_batch, on=(TagifyError, OSError), backoff=backoff, on_failure=self._warn_once
            )
            await asyncio.sleep(0.0 if more else POLL_S)

    def _warn_once(self, failures: int, error: Exception) -> None:
        if failures == 1:
            logger.warning("removed images wait to be forgotten by %s: %s", self._offset_file.stem, error)

    async def _apply_batch(self) -> bool:
        """Forget some; whether there may be more."""
        purges = await self._purges.read_after(self._offset, self._delay_s, BATCH_SIZE)
        for purge in purges:
            await self._invalidate(purge)
            self._invalidations.add(cache=self._offset_file.stem)
        if purges:
            self._offset = purges[-1].offset
            await asyncio.to_thread(self._save_offset)
        return len(purges) == BATCH_SIZE

    def _load_offset(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            return PurgeEntry.parse_offset(self._offset_file.read_text())
        return ""

    def _save_offset(self) -> None:
        # Not atomic, for several edges may write here: a place that cannot be read is the first one.
        self._offset_file.write_text(self._offset)
