"""Keeps the catalog equal to one library: follows its events, compares it in full now and then."""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass

from ingest.paths import Exclusions
from ingest.sync.change_applier import ChangeApplier
from ingest.sync.mounts import file_system_type
from ingest.sync.progress import Progress
from ingest.sync.reconciler import Reconciler
from ingest.sync.root_guard import Guard
from ingest.sync.walk import count
from ingest.watch import NotWatched, Watch, Watcher
from ingest.watch.debounce import Debouncer
from tagify.catalog import LibraryStatusWriter
from tagify.concurrency.retry import Backoff, retry_while_unavailable
from tagify.concurrency.thread_pool import Threads
from tagify.logs import fields
from tagify.metrics import Counter
from tagify.model import Library, LibraryState, RootIdentity

logger = logging.getLogger(__name__)

LOOK_S = 2.0
"""Time between two looks at the root, in seconds."""

WATCH_AGAIN_S = 60.0
"""Time until a folder that the kernel would not watch is tried again, in seconds."""


RECHECK_S = 60.0
"""A removal that was refused is looked at again after this time: another library may have the files now."""


@dataclass(frozen=True, slots=True)
class ScanSchedule:
    """When a library is compared in full, and when what is not watched is; file systems never watched."""

    reconcile_s: float
    poll_s: float
    polled_file_systems: frozenset[str]


class LibraryWorker:
    """One library's tasks. `run` until cancelled; `update` with what the catalog says of the library."""

    def __init__(
        self,
        guard: Guard,
        *,
        keeping: LibraryStatusWriter,
        comparer: Reconciler,
        watcher: Watcher,
        threads: Threads,
        exclusions: Exclusions,
        settling: Debouncer,
        intake: ChangeApplier,
        rhythm: ScanSchedule,
        lost: Counter,
    ) -> None:
        self._guard = guard
        self._root = guard.library.path
        self._keeping = keeping
        self._watcher = watcher
        self._threads = threads
        self._exclusions = exclusions
        self._settling = settling
        self._intake = intake
        self._rhythm = rhythm
        self._lost = lost
        self._comparer = comparer
        self._watch: Watch | None = None
        self._watch_again_at = 0.0
        self._watched: RootIdentity | None = None
        self._told_unwatched = False
        self._refusals = 0
        self._recheck: asyncio.TimerHandle | None = None
        self._wanted = asyncio.Event()
        self._answered = guard.library.rescan_requested

    def update(self, library: Library) -> None:
        """The library as the catalog has it now; a request for a scan that it holds is heard."""
        was_suspended = self._guard.library.state is LibraryState.SUSPENDED
        self._guard.library = library
        if library.rescan_requested != self._answered or (
            was_suspended and library.state is LibraryState.ACTIVE
        ):
            self._answered = library.rescan_requested
            self._wanted.set()

    async def run(self) -> None:
        """Watch, compare and follow until cancelled."""
        self._wanted.set()
        await retry_while_unavailable("catalog", self._keeping.fence_older_leases)
        try:
            await self._attend()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look())
                group.create_task(self._scan_when_wanted())
                group.create_task(self._follow())
                group.create_task(self._poll())
                group.create_task(self._intake.run())
        finally:
            if self._watch is not None:
                await asyncio.shield(self._watcher.remove(self._watch))

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self._attend()

    async def _attend(self) -> None:
        """See to it that a root that is well is watched, and the folder that is there now at that."""
        was_suspended = self._guard.library.state is LibraryState.SUSPENDED
        if not await self._guard.is_well():
            return
        if was_suspended:
            self._wanted.set()
        if time.monotonic() >= self._watch_again_at and not await self._is_watched():
            await self._begin_watching()

    async def _is_watched(self) -> bool:
        if self._watch is None or not self._watcher.is_watching(self._watch):
            return False
        return await self._guard.look() == self._watched

    async def _begin_watching(self) -> None:
        if self._watch is not None:
            await self._watcher.remove(self._watch)
            self._watch = None
        watch = Watch(self._root, self._exclusions)
        try:
            await self._watcher.add(watch)
        except NotWatched as error:
            self._tell_unwatched(str(error))
            self._watch_again_at = time.monotonic() + WATCH_AGAIN_S
        else:
            self._watch = watch
            self._wanted.set()
        self._watched = await self._guard.look()

    async def _poll(self) -> None:
        """Compare what no event would tell of: folders that are not watched, file systems of other hosts."""
        while True:
            await asyncio.sleep(self._rhythm.poll_s)
            if not await self._guard.is_well():
                continue
            if await self._is_polled():
                self._wanted.set()
            elif self._watch is not None and (folders := self._watch.unwatched):
                for folder in folders:
                    if not await self._comparer.tree(folder, self._guard):
                        self._wanted.set()

    async def _is_polled(self) -> bool:
        """Whether all of the library is."""
        kind = await self._threads.run(file_system_type, self._root)
        return self._watch is None or kind in self._rhythm.polled_file_systems

    def _tell_unwatched(self, reason: str) -> None:
        if not self._told_unwatched:
            self._told_unwatched = True
            logger.warning("%s (every %g s)", reason, self._rhythm.poll_s)

    async def _scan_when_wanted(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rhythm.reconcile_s):
                    await self._wanted.wait()
            self._wanted.clear()
            if await self._guard.is_well():
                await self._scan()

    async def _scan(self) -> None:
        """Compare the whole library with the catalog, and wait until what differs is in."""
        started = time.monotonic()
        if self._watch is not None:
            await self._watcher.complete(self._watch)
        library = self._guard.library
        total = await self._threads.run(count, self._root, self._exclusions)
        async with Progress(self._keeping, self._intake, total) as progress:
            if await self._comparer.tree("", self._guard, progress):
                await self._guard.removals.settled()
                self._refusals = 0
            else:
                self._look_again()
            await self._intake.drained()
        seconds = round(time.monotonic() - started, 1)
        logger.info("compared", extra=fields(library=library.name, files=total, seconds=seconds))

    def _look_again(self) -> None:
        """Scan in a while, each time after twice as long: whoever is asked may take days to answer."""
        if self._recheck is not None:
            self._recheck.cancel()
        self._refusals += 1
        delay_s = Backoff(RECHECK_S, self._rhythm.reconcile_s, jitter=0).delay(self._refusals)
        self._recheck = asyncio.get_running_loop().call_later(delay_s, self._wanted.set)

    async def _follow(self) -> None:
        """Turn events into looks at the paths that have settled."""
        while True:
            now = time.monotonic()
            if paths := self._settling.due(now):
                if await self._guard.is_well() and not await self._comparer.paths(paths, self._guard):
                    self._wanted.set()
                continue
            due = self._settling.next_due()
            await self._listen(max(0.01, min(LOOK_S, due - now) if due is not None else LOOK_S))

    async def _listen(self, timeout_s: float) -> None:
        watch = self._watch
        if watch is None:
            await asyncio.sleep(timeout_s)
            return
        await watch.wait(timeout_s)
        notes, lost = watch.take()
        now = time.monotonic()
        for note in notes:
            self._settling.note(note, now)
        if watch.unwatched:
            self._tell_unwatched(watch.why_unwatched)
        if lost or self._settling.full:
            self._lost.add()
            logger.warning("events were lost; comparing %s", self._root)
            self._settling.clear()
            self._wanted.set()
