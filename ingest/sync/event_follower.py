"""Reconciles the paths of inotify events once the debouncer reports them quiet."""

import asyncio
import logging
import time

from ingest.library_state import LibraryRecord
from ingest.sync.reconciler import Reconciler
from ingest.sync.root_guard import RootGuard
from ingest.sync.root_watch import RootWatch
from ingest.watch.debounce import Debouncer
from tagify.metrics import Counter

logger = logging.getLogger(__name__)

LONGEST_WAIT_S = 2.0
"""Longest wait for events before the current watch is read again, in seconds: it may have been replaced."""

SHORTEST_WAIT_S = 0.01
"""Shortest wait, in seconds, so that a path that is due at once does not make a busy loop."""


class EventFollower:
    """One library's events: watch, debounce, reconcile. Lost events request a full scan."""

    def __init__(
        self,
        record: LibraryRecord,
        guard: RootGuard,
        *,
        root_watch: RootWatch,
        debouncer: Debouncer,
        reconciler: Reconciler,
        events_lost: Counter,
    ) -> None:
        self._record = record
        self._guard = guard
        self._root_watch = root_watch
        self._debouncer = debouncer
        self._reconciler = reconciler
        self._events_lost = events_lost

    async def run(self) -> None:
        """Follow events until cancelled."""
        while True:
            now = time.monotonic()
            if paths := self._debouncer.pop_quiet(now):
                await self._reconcile(paths)
                continue
            due_at = self._debouncer.next_due_at()
            wait_s = min(LONGEST_WAIT_S, due_at - now) if due_at is not None else LONGEST_WAIT_S
            await self._receive(max(SHORTEST_WAIT_S, wait_s))

    async def _reconcile(self, paths: list[str]) -> None:
        if await self._guard.check_root() and not await self._reconciler.reconcile_paths(paths):
            self._record.scan_requests.request()

    async def _receive(self, timeout_s: float) -> None:
        """Wait for events and pass them to the debouncer."""
        watch = self._root_watch.watch
        if watch is None:
            await asyncio.sleep(timeout_s)
            return
        await watch.wait(timeout_s)
        events, lost = watch.drain()
        now = time.monotonic()
        for event in events:
            self._debouncer.add(event, now)
        if watch.unwatched_folders:
            self._root_watch.warn_unwatched(watch.unwatched_reason)
        if lost or self._debouncer.is_full:
            self._events_lost.add()
            logger.warning("events lost; rescanning %s", self._record.root)
            self._debouncer.clear()
            self._record.scan_requests.request()
