"""Full scans of one library, on request and on schedule, and polling of folders without a watch."""

import asyncio
import logging
import time
from functools import partial

from ingest.library_state import LibraryRecord
from ingest.sync.change_applier import ChangeApplier
from ingest.sync.pending_moves import LibraryMoves
from ingest.sync.progress import ScanProgress
from ingest.sync.reconciler import Reconciler
from ingest.sync.root_guard import RootGuard
from ingest.sync.root_watch import RootWatch
from ingest.sync.schedule import ScanSchedule
from tagify.concurrency.retry import Backoff, retry_while_unavailable
from tagify.logs import fields

logger = logging.getLogger(__name__)

RECHECK_S = 10.0
"""A deletion that the guard refused is checked again after this time, in seconds: another library may have
the files by then. Doubled for as long as the number of images stays the same."""


class LibraryScanner:
    """Scans are serialized: requests made during a scan start one more after it."""

    def __init__(
        self,
        record: LibraryRecord,
        guard: RootGuard,
        *,
        root_watch: RootWatch,
        reconciler: Reconciler,
        applier: ChangeApplier,
        schedule: ScanSchedule,
        moves: LibraryMoves,
    ) -> None:
        self._record = record
        self._guard = guard
        self._root_watch = root_watch
        self._reconciler = reconciler
        self._applier = applier
        self._schedule = schedule
        self._moves = moves
        self._rechecks = 0
        self._refused = 0
        self._recheck: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Scan on request and at the interval of full scans, until cancelled."""
        while True:
            await self._record.scan_requests.wait(self._schedule.reconcile_s)
            if await self._guard.check_root():
                await self._scan()
            else:
                self._moves.cancel_scan()

    async def poll(self) -> None:
        """Reconcile folders that cause no events, until cancelled: unwatched ones, network file systems."""
        while True:
            await asyncio.sleep(self._schedule.poll_s)
            if not await self._guard.check_root():
                continue
            if await self._root_watch.is_polled():
                self._record.scan_requests.request()
                continue
            for folder in self._root_watch.unwatched:
                if not await self._reconciler.reconcile_folder(folder):
                    self._record.scan_requests.request()

    async def _scan(self) -> None:
        """Reconcile the whole library, and wait until all changes are imported."""
        started = time.monotonic()
        await self._root_watch.complete()
        name = self._record.library.name
        total, skipped = await self._reconciler.count_files()
        await retry_while_unavailable("catalog", partial(self._record.status.set_skipped, skipped))
        async with ScanProgress(self._record.status, self._applier, total) as progress:
            if await self._reconciler.reconcile_folder("", progress):
                await self._guard.deletions.clear_pending()
                self._rechecks = 0
            else:
                self._schedule_recheck()
            await self._applier.wait_until_idle()
        seconds = round(time.monotonic() - started, 1)
        logger.info("scan finished", extra=fields(library=name, files=total, seconds=seconds))

    def _schedule_recheck(self) -> None:
        """Request a scan later, with exponential backoff: an approval may take days."""
        if self._recheck is not None:
            self._recheck.cancel()
        deletions = self._guard.deletions
        if deletions.refused != self._refused:
            self._refused = deletions.refused
            self._rechecks = 0
        delay_s = Backoff(RECHECK_S, self._schedule.reconcile_s, jitter=0).delay(self._rechecks + 1)
        if deletions.window_left_s is not None:
            delay_s = min(delay_s, deletions.window_left_s)
        self._recheck = asyncio.get_running_loop().call_later(delay_s, self._request_recheck)

    def _request_recheck(self) -> None:
        # Counted here and not when it is scheduled: scans that events request do not lengthen the wait.
        self._rechecks += 1
        self._record.scan_requests.request()
