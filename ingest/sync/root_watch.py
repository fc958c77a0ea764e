"""Keeps an inotify watch on the root of a library while it is intact; decides which folders are polled."""

import asyncio
import logging
import time

from ingest.library_state import LibraryRecord
from ingest.library_threads import LibraryThreads
from ingest.paths import Exclusions
from ingest.sync.filesystem_type import file_system_type
from ingest.sync.root_guard import RootGuard
from ingest.sync.schedule import ScanSchedule
from ingest.watch import Watch, Watcher, WatchRefused
from tagify.model import RootIdentity

logger = logging.getLogger(__name__)

ROOT_CHECK_INTERVAL_S = 2.0
"""Time between two checks of the root, in seconds."""

WATCH_RETRY_S = 60.0
"""Time until a root that the kernel refused to watch is tried again, in seconds."""


class RootWatch:
    """The watch of one library. A change of the root, or a new watch, requests a full scan."""

    def __init__(
        self,
        record: LibraryRecord,
        guard: RootGuard,
        *,
        watcher: Watcher,
        exclusions: Exclusions,
        threads: LibraryThreads,
        schedule: ScanSchedule,
    ) -> None:
        self._record = record
        self._guard = guard
        self._watcher = watcher
        self._exclusions = exclusions
        self._threads = threads
        self._schedule = schedule
        self._watch: Watch | None = None
        self._watched_root: RootIdentity | None = None
        self._retry_at = 0.0
        self._warned_unwatched = False

    @property
    def watch(self) -> Watch | None:
        """The current watch; None where the root is not watched."""
        return self._watch

    async def run(self) -> None:
        """Check the root periodically until cancelled."""
        while True:
            await asyncio.sleep(ROOT_CHECK_INTERVAL_S)
            await self.check()

    async def check(self) -> None:
        """Check the root; while it is intact, watch the folder that is at its path now."""
        was_suspended = self._record.is_suspended
        if not await self._guard.check_root():
            return
        if was_suspended:
            self._record.scan_requests.request()
        if time.monotonic() >= self._retry_at and not await self._is_watched():
            await self._start_watch()

    async def complete(self) -> None:
        """Add watches for folders that have none, as after many renames in a short time."""
        if self._watch is not None:
            await self._watcher.add_missing_watches()

    async def is_polled(self) -> bool:
        """Whether the whole library must be polled: no watch, or a file system that sends no events."""
        file_system = await self._threads.run(file_system_type, self._record.root)
        return self._watch is None or file_system in self._schedule.polled_file_systems

    @property
    def unwatched(self) -> frozenset[str]:
        """Folders, relative to the root, that the watch does not cover."""
        return self._watch.unwatched_folders if self._watch is not None else frozenset()

    def warn_unwatched(self, reason: str) -> None:
        """Log once that folders are polled."""
        if not self._warned_unwatched:
            self._warned_unwatched = True
            logger.warning("%s (every %g s)", reason, self._schedule.poll_s)

    async def close(self) -> None:
        """Remove the watch."""
        self._watch = None
        await self._watcher.remove_watch()

    async def _is_watched(self) -> bool:
        if self._watch is None or not self._watcher.is_intact(self._watch):
            return False
        return await self._guard.root_identity() == self._watched_root

    async def _start_watch(self) -> None:
        await self.close()
        watch = Watch(self._record.root, self._exclusions)
        try:
            await self._watcher.add_watch(watch)
        except WatchRefused as error:
            self.warn_unwatched(str(error))
            self._retry_at = time.monotonic() + WATCH_RETRY_S
        else:
            self._watch = watch
            self._record.scan_requests.request()
        self._watched_root = await self._guard.root_identity()
