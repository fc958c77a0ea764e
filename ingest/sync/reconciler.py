"""Takes the differences between a folder, or a whole library, and the catalog."""

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ingest.paths import Exclusions, to_os
from ingest.sync.change_applier import ChangeApplier
from ingest.sync.diff import Added, Difference, Removed, Unchanged, diff, in_chunks
from ingest.sync.progress import Progress
from ingest.sync.root_guard import Guard
from ingest.sync.walk import Found, Unreadable, facts_at, walk
from tagify.catalog import Catalog
from tagify.concurrency.retry import retry_while_unavailable
from tagify.concurrency.thread_pool import Threads
from tagify.model import CatalogEntry, FileFacts, LibraryId

logger = logging.getLogger(__name__)

GATHER = 256
"""Arrivals that are looked up together."""

HELD_BACK = 5000
"""Departures that are held back until the files that arrived have been seen: most are moves."""


@dataclass(slots=True)
class _Absent:
    """Entries whose files are not at their place: the first of them, and how many there are."""

    entries: list[CatalogEntry] = field(default_factory=list)
    total: int = 0

    def add(self, entry: CatalogEntry) -> None:
        self.total += 1
        if len(self.entries) < HELD_BACK:
            self.entries.append(entry)


class Reconciler:
    """Compares one library with the catalog, in whole or in part."""

    def __init__(
        self,
        library_id: LibraryId,
        root: str,
        *,
        catalog: Catalog,
        threads: Threads,
        exclusions: Exclusions,
        intake: ChangeApplier,
    ) -> None:
        self._id = library_id
        self._root = root
        self._catalog = catalog
        self._threads = threads
        self._exclusions = exclusions
        self._intake = intake

    async def paths(self, paths: Sequence[str], guard: Guard) -> bool:
        """Look at what is at these paths now; what is there first, so that moves are seen as moves.

        Whether all that has gone could be removed.
        """
        free = [path for path in paths if not self._intake.is_reading(path)]
        files = await self._threads.run(self._look, free)
        arrivals = [Added(file) for file in files.values() if file is not None]
        for start in range(0, len(arrivals), GATHER):
            await self._intake.arrive(arrivals[start : start + GATHER], live=True)
        absent = sorted(path for path, file in files.items() if file is None)
        there = await self._there(absent)
        folders = _topmost(path for path in absent if path not in there)
        if len(folders) > 1:
            for folder in folders:
                await self._pass(folder)
        went = await self._depart(list(there.values()), guard, tell=False)
        for folder in folders:
            went = await self.tree(folder, guard) and went
        return went

    def _look(self, paths: Sequence[str]) -> dict[str, FileFacts | None]:
        """What is at each path; of one whose disk fails nothing, and the next comparison tries it again."""
        found: dict[str, FileFacts | None] = {}
        for path in paths:
            try:
                found[path] = facts_at(self._root, path)
            except OSError as error:
                self._tell_unreadable(Unreadable(path, error.strerror or str(error)), None)
        return found

    async def _there(self, paths: Sequence[str]) -> dict[str, CatalogEntry]:
        """What the catalog has at these paths."""
        found: dict[str, CatalogEntry] = {}
        for start in range(0, len(paths), GATHER):
            some = paths[start : start + GATHER]
            found |= await retry_while_unavailable(
                "catalog", partial(self._catalog.images.by_paths, self._id, some)
            )
        return found

    async def tree(self, folder: str, guard: Guard, progress: Progress | None = None) -> bool:
        """Compare all below a folder (`""`: the library); whether all that has gone could be removed.

        A scan gives its `progress`, and what it finds goes after live events; what has arrived is in
        before anything is removed, for it may have come from there. More images than are held back
        are counted by a pass of their own, and removed by a third: by then all that moved has
        arrived, and what is still absent has gone.
        """
        absent = await self._pass(folder, progress=progress)
        if progress is not None and absent.total:
            await self._intake.drained()
        if absent.total <= HELD_BACK:
            return await self._depart(absent.entries, guard, tell=progress is not None)
        absent = await self._pass(folder)
        if not await guard.may_remove(absent.total, tell=progress is not None):
            return False
        await self._pass(folder, removing_by=guard)
        return True

    async def _pass(
        self,
        folder: str,
        *,
        progress: Progress | None = None,
        removing_by: Guard | None = None,
    ) -> _Absent:
        """One merge of folder and catalog: what has arrived is taken, what is absent told or removed."""
        arrivals: list[Added] = []
        absent = _Absent()
        live = progress is None and removing_by is None
        async for difference in diff(self._disk(folder), self._entries(folder)):
            self._sort(difference, arrivals, absent, progress)
            if len(arrivals) >= GATHER:
                await self._intake.arrive(arrivals, live=live)
                arrivals.clear()
            if removing_by is not None and len(absent.entries) >= HELD_BACK:
                await self._remove(absent, removing_by)
        await self._intake.arrive(arrivals, live=live)
        if removing_by is not None:
            await self._remove(absent, removing_by)
        return absent

    def _sort(
        self, difference: Difference, arrivals: list[Added], absent: _Absent, progress: Progress | None
    ) -> None:
        match difference:
            case Added():
                arrivals.append(difference)
            case Removed():
                absent.add(difference.entry)
            case Unreadable():
                self._tell_unreadable(difference, progress)
        if progress is not None and isinstance(difference, Added | Unchanged):
            progress.passed += 1

    async def _depart(self, entries: Sequence[CatalogEntry], guard: Guard, *, tell: bool) -> bool:
        """Whether these could be removed: all that are really gone, if the guard lets so many go."""
        gone = await self._intake.gone(entries)
        if not gone:
            return True
        if not await guard.may_remove(len(gone), tell=tell):
            return False
        await self._intake.depart(gone)
        return True

    async def _remove(self, absent: _Absent, guard: Guard) -> None:
        """Asks once more after the root: a mount may have gone in the middle of a walk."""
        gone = await self._intake.gone(absent.entries)
        absent.entries.clear()
        if gone and await guard.is_well():
            await self._intake.depart(gone)

    def _disk(self, folder: str) -> AsyncIterator[Found]:
        return in_chunks(self._threads, walk(self._root, folder, self._exclusions))

    async def _entries(self, folder: str) -> AsyncIterator[CatalogEntry]:
        """Some at a time, so that a comparison goes on where it was however long a server was away."""
        after = ""
        while some := await retry_while_unavailable(
            "catalog", partial(self._catalog.images.list_below, self._id, folder, after=after)
        ):
            for entry in some:
                yield entry
            after = some[-1].file.path

    def _tell_unreadable(self, found: Unreadable, progress: Progress | None) -> None:
        place = f"{self._root}/{to_os(found.path)}".rstrip("/")
        logger.warning("%s cannot be read: %s", place, found.reason)
        if progress is not None:
            progress.error = f"{place} cannot be read: {found.reason}"


def _topmost(folders: Iterable[str]) -> list[str]:
    """Those in none of the others: to compare a folder is to compare all below it. In order of path."""
    found: list[str] = []
    for folder in folders:
        if not (found and (not found[-1] or folder.startswith(found[-1] + "/"))):
            found.append(folder)
    return found
