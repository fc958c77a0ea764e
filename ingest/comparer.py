"""Takes the differences between a folder, or a whole library, and the catalog."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from ingest.intake import Intake
from ingest.paths import Exclusions, to_os
from ingest.patience import patiently
from ingest.progress import Progress
from ingest.reconcile import Arrival, Departure, Same, compare, in_chunks
from ingest.walk import Found, Unreadable, facts_at, walk
from tagify.catalog import Catalog
from tagify.model import Entry, LibraryId
from tagify.threads import Threads

logger = logging.getLogger(__name__)

GATHER = 256
"""Arrivals that are looked up together."""

HELD_BACK = 5000
"""Departures that are held back until the files that arrived have been seen: most are moves."""

MayRemove = Callable[[], Awaitable[bool]]


class Comparer:
    """Compares one library with the catalog, in whole or in part."""

    def __init__(
        self,
        library_id: LibraryId,
        root: str,
        *,
        catalog: Catalog,
        threads: Threads,
        exclusions: Exclusions,
        intake: Intake,
    ) -> None:
        self._id = library_id
        self._root = root
        self._catalog = catalog
        self._threads = threads
        self._exclusions = exclusions
        self._intake = intake

    async def paths(self, paths: Sequence[str], may_remove: MayRemove) -> None:
        """Look at what is at these paths now; files that are there first, so that moves are seen as moves."""
        free = [path for path in paths if not self._intake.is_reading(path)]
        files = await self._threads.run(lambda: {path: facts_at(self._root, path) for path in free})
        await self._intake.arrive([Arrival(file) for file in files.values() if file is not None], live=True)
        for path in sorted(path for path, file in files.items() if file is None):
            await self._absent(path, may_remove)

    async def tree(self, folder: str, may_remove: MayRemove, progress: Progress | None = None) -> None:
        """Compare all below a folder (`""`: the library).

        A scan gives its `progress`, and what it finds goes after live events.
        """
        arrivals: list[Arrival] = []
        departures: list[Departure] = []
        live = progress is None
        async for difference in compare(self._disk(folder), self._entries(folder)):
            match difference:
                case Arrival():
                    arrivals.append(difference)
                case Departure():
                    departures.append(difference)
                case Unreadable():
                    self._tell_unreadable(difference, progress)
            if progress is not None and isinstance(difference, Arrival | Same):
                progress.passed += 1
            if len(arrivals) >= GATHER:
                await self._intake.arrive(arrivals, live=live)
                arrivals = []
            if len(departures) >= HELD_BACK:
                await self._depart(departures, may_remove)
                departures = []
        await self._intake.arrive(arrivals, live=live)
        await self._depart(departures, may_remove)

    async def _absent(self, path: str, may_remove: MayRemove) -> None:
        """No file is at the path: a folder is, or something has gone from there."""
        entries = await patiently("catalog", lambda: self._catalog.images.at(self._id, [path]))
        if entries:
            await self._depart([Departure(entry) for entry in entries.values()], may_remove)
        else:
            await self.tree(path, may_remove)

    async def _depart(self, departures: Sequence[Departure], may_remove: MayRemove) -> None:
        """Asks once more whether it may: a mount may have gone in the middle of a walk."""
        if departures and await may_remove():
            await self._intake.depart(departures)

    def _disk(self, folder: str) -> AsyncIterator[Found]:
        return in_chunks(self._threads, walk(self._root, folder, self._exclusions))

    def _entries(self, folder: str) -> AsyncIterator[Entry]:
        return self._catalog.images.under(self._id, folder)

    def _tell_unreadable(self, found: Unreadable, progress: Progress | None) -> None:
        place = f"{self._root}/{to_os(found.path)}".rstrip("/")
        logger.warning("%s cannot be read: %s", place, found.reason)
        if progress is not None:
            progress.error = f"{place} cannot be read: {found.reason}"
