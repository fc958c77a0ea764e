"""Follows the purge log: invalidates removed contents in one cache."""

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
"""Age from which a purge is applied, in seconds: variants that were being rendered then are stored by now."""

POLL_S = 5.0
"""Interval of reading the purge log, in seconds."""

MAX_BACKOFF_S = 300.0
"""Maximum backoff between retries, in seconds."""

BATCH_SIZE = 100


class PurgeFollower:
    """Applies the purge log to one cache, in order.

    Its offset is saved in a file beside the cache, so that a restart skips no entry.
    """

    def __init__(
        self,
        purge_log: PurgeLog,
        offset_file: Path,
        invalidate: Callable[[PurgeEntry], Awaitable[None]],
        invalidations: Counter,
        *,
        delay_s: float,
    ) -> None:
        """`delay_s`: age from which an entry is applied. Longer for a cache that is filled from another."""
        self._purge_log = purge_log
        self._offset_file = offset_file
        self._invalidate = invalidate
        self._invalidations = invalidations
        self._delay_s = delay_s
        self._offset = ""
        self._fails = False

    async def run(self) -> None:
        """Apply entries as they are added, until cancelled; failures are retried with backoff."""
        self._offset = await asyncio.to_thread(self._load_offset)
        backoff = Backoff(2 * POLL_S, MAX_BACKOFF_S)
        while True:
            more = await retry(
                self._apply_batch, on=(TagifyError, OSError), backoff=backoff, on_failure=self._warn_once
            )
            if self._fails:
                self._fails = False
                logger.info("cache invalidation works again: %s", self._offset_file.stem)
            await asyncio.sleep(0.0 if more else POLL_S)

    def _warn_once(self, failures: int, error: Exception) -> None:
        self._fails = True
        if failures == 1:
            logger.warning("cache invalidation failed; retrying: %s: %s", self._offset_file.stem, error)

    async def _apply_batch(self) -> bool:
        """Apply up to BATCH_SIZE entries; whether there may be more."""
        purges = await self._purge_log.read_after(self._offset, self._delay_s, BATCH_SIZE)
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
        # Not atomic, and several edges may write it: an offset that cannot be parsed means the start.
        self._offset_file.write_text(self._offset)
