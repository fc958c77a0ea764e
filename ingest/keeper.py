"""Keeps the catalog equal to one library: follows its events, compares it in full now and then."""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace

from ingest.comparer import Comparer
from ingest.intake import Intake
from ingest.paths import Exclusions
from ingest.patience import patiently
from ingest.progress import Progress
from ingest.roots import Identity, identify, why_suspended
from ingest.settle import Settling
from ingest.walk import count
from ingest.watcher import NotWatched, Watch, Watcher
from tagify.catalog import Catalog
from tagify.logs import fields
from tagify.metrics import Counter
from tagify.model import Library, LibraryState
from tagify.threads import Threads

logger = logging.getLogger(__name__)

LOOK_S = 2.0
"""Time between two looks at the root, in seconds."""

UNWATCHED_S = 60.0
"""Time between two comparisons of a folder that the kernel does not watch, in seconds."""


class Keeper:
    """One library's tasks. `run` until cancelled; `update` with what the catalog says of the library."""

    def __init__(
        self,
        library: Library,
        *,
        catalog: Catalog,
        watcher: Watcher,
        threads: Threads,
        exclusions: Exclusions,
        settling: Settling,
        intake: Intake,
        reconcile_s: float,
        lost: Counter,
    ) -> None:
        self._library = library
        self._root = library.path
        self._catalog = catalog
        self._watcher = watcher
        self._threads = threads
        self._exclusions = exclusions
        self._settling = settling
        self._intake = intake
        self._reconcile_s = reconcile_s
        self._lost = lost
        self._comparer = Comparer(
            library.id,
            library.path,
            catalog=catalog,
            threads=threads,
            exclusions=exclusions,
            intake=intake,
        )
        self._watch: Watch | None = None
        self._watch_again_at = 0.0
        self._identity: Identity | None = None
        self._wanted = asyncio.Event()
        self._answered = library.rescan_requested

    def update(self, library: Library) -> None:
        """The library as the catalog has it now; a request for a scan that it holds is heard."""
        self._library = library
        if library.rescan_requested != self._answered:
            self._answered = library.rescan_requested
            self._wanted.set()

    async def run(self) -> None:
        """Watch, compare and follow until cancelled."""
        self._wanted.set()
        try:
            await self._attend()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look())
                group.create_task(self._scan_when_wanted())
                group.create_task(self._follow())
        finally:
            if self._watch is not None:
                await asyncio.shield(self._watcher.remove(self._watch))

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self._attend()

    async def _attend(self) -> None:
        """See to it that a root that is well is watched; suspend a library whose root is not."""
        may_watch = time.monotonic() >= self._watch_again_at
        if await self._is_well() and may_watch and not await self._is_watched():
            await self._begin_watching()

    async def _is_watched(self) -> bool:
        """Whether the kernel reports on the folder that is there now, and not on one that was."""
        if self._watch is None or not self._watcher.is_watching(self._watch):
            return False
        return await self._threads.run(identify, self._root) == self._identity

    async def _is_well(self) -> bool:
        """Whether images may be removed on the word of this root; a change is told to the catalog."""
        library = self._library
        reason = await self._threads.run(why_suspended, self._root, self._identity, library.indexed_count)
        state = LibraryState.SUSPENDED if reason else LibraryState.ACTIVE
        if library.state not in (state, LibraryState.REMOVING):
            await self._tell_state(state, reason or "")
        return reason is None

    async def _tell_state(self, state: LibraryState, reason: str) -> None:
        library = self._library
        if reason:
            logger.warning("library suspended: %s", reason)
        else:
            logger.info("library is back: %s", self._root)
        await patiently("catalog", lambda: self._catalog.libraries.set_state(library.id, state, reason))
        self._library = replace(library, state=state, scan_error=reason)
        if not reason:
            self._wanted.set()

    async def _begin_watching(self) -> None:
        first = self._identity is None
        if self._watch is not None:
            await self._watcher.remove(self._watch)
            self._watch = None
        watch = Watch(self._root, self._exclusions)
        try:
            await self._watcher.add(watch)
        except NotWatched as error:
            if first:
                logger.warning("%s", error)
            self._reconcile_s = min(self._reconcile_s, UNWATCHED_S)
            self._watch_again_at = time.monotonic() + UNWATCHED_S
        else:
            self._watch = watch
            self._wanted.set()
        self._identity = await self._threads.run(identify, self._root)

    async def _scan_when_wanted(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._reconcile_s):
                    await self._wanted.wait()
            self._wanted.clear()
            if await self._is_well():
                await self._scan()

    async def _scan(self) -> None:
        """Compare the whole library with the catalog, and wait until what differs is in."""
        started = time.monotonic()
        total = await self._threads.run(count, self._root, self._exclusions)
        async with Progress(self._catalog, self._library.id, self._intake, total) as progress:
            await self._comparer.tree("", self._is_well, progress)
            await self._intake.drained()
        seconds = round(time.monotonic() - started, 1)
        logger.info("compared", extra=fields(library=self._library.name, files=total, seconds=seconds))

    async def _follow(self) -> None:
        """Turn events into looks at the paths that have settled."""
        while True:
            now = time.monotonic()
            if paths := self._settling.due(now):
                if await self._is_well():
                    await self._comparer.paths(paths, self._is_well)
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
        if lost or self._settling.full:
            self._lost.add()
            logger.warning("events were lost; comparing %s", self._root)
            self._settling.clear()
            self._wanted.set()
