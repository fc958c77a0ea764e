"""Reconciles a library, a folder or paths: finds the differences of disk and catalog, and applies them."""

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ingest.library_state import LibraryRecord
from ingest.library_threads import LibraryThreads
from ingest.paths import Exclusions, to_os
from ingest.sync.change_applier import ChangeApplier
from ingest.sync.diff import Added, Adopted, Difference, Removed, Unchanged, diff, in_batches
from ingest.sync.pending_moves import LibraryMoves
from ingest.sync.progress import ScanProgress
from ingest.sync.root_guard import RootGuard
from ingest.sync.walk import Unreadable, WalkItem, count_files, stat_file, walk
from tagify.catalog import Catalog
from tagify.concurrency.retry import retry_while_unavailable
from tagify.logs import fields
from tagify.model import CatalogEntry, FileFacts

logger = logging.getLogger(__name__)

REPORTED_PATHS = 3
"""Unreadable paths that a log line and the scan's error name; the others are counted."""

BATCH = 256
"""New or changed files that are looked up together."""

HELD_LIMIT = 5000
"""New or changed files that are held until the moves among all of them are written. If there are more, a
second walk imports them."""

REMOVED_LIMIT = 5000
"""Removed images that are collected until all new files have been seen: most of them are moves."""


@dataclass(slots=True)
class _RemovedEntries:
    """Entries without a file at their path: the first REMOVED_LIMIT of them, and how many there are."""

    entries: list[CatalogEntry] = field(default_factory=list)
    total: int = 0

    def add(self, entry: CatalogEntry) -> None:
        self.total += 1
        if len(self.entries) < REMOVED_LIMIT:
            self.entries.append(entry)


@dataclass(slots=True)
class _HeldFiles:
    """New files that are no moves, until all moves are written. None of them once there are too many."""

    files: list[Added] = field(default_factory=list)
    overflowed: bool = False

    def add(self, files: Sequence[Added]) -> None:
        self.overflowed = self.overflowed or len(self.files) + len(files) > HELD_LIMIT
        if self.overflowed:
            self.files.clear()
        else:
            self.files.extend(files)


@dataclass(slots=True)
class _UnreadablePaths:
    """The unreadable paths of one pass: their number and the first of them, for one log line."""

    root: str
    first: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, unreadable: Unreadable) -> None:
        self.total += 1
        if len(self.first) < REPORTED_PATHS:
            path = f"{self.root}/{to_os(unreadable.path)}".rstrip("/")
            self.first.append(f"{path} cannot be read: {unreadable.reason}")

    def report(self, progress: ScanProgress | None = None) -> None:
        """Log them, and write them to the progress of a scan."""
        if not self.total:
            return
        more = self.total - len(self.first)
        message = "; ".join(self.first) + (f"; and {more} more" if more else "")
        logger.warning("files or folders cannot be read: %s", message, extra=fields(count=self.total))
        if progress is not None:
            progress.error = message


class Reconciler:
    """Compares one library with the catalog, in whole or in part, and applies the differences."""

    def __init__(
        self,
        record: LibraryRecord,
        guard: RootGuard,
        *,
        catalog: Catalog,
        threads: LibraryThreads,
        exclusions: Exclusions,
        applier: ChangeApplier,
        moves: LibraryMoves,
    ) -> None:
        self._id = record.id
        self._root = record.root
        self._guard = guard
        self._catalog = catalog
        self._threads = threads
        self._exclusions = exclusions
        self._applier = applier
        self._moves = moves

    async def count_files(self) -> tuple[int, tuple[tuple[str, int], ...]]:
        """The number of image files in the library; the suffixes of other files, and their numbers."""
        return await self._threads.run(count_files, self._root, self._exclusions)

    async def reconcile_paths(self, paths: Sequence[str]) -> bool:
        """Reconcile these paths; present files first, so that moves are seen as moves.

        Whether the guard allowed all deletions.
        """
        held = _HeldFiles()
        with self._moves.search():
            idle = [path for path in paths if not self._applier.defer_if_in_flight(path)]
            files = await self._threads.run(self._facts_at, idle)
            absent = sorted(path for path, file in files.items() if file is None)
            entries = await self._entries_at(absent)
            folders = _topmost(path for path in absent if path not in entries)
            added = [Added(file) for file in files.values() if file is not None]
            if len(folders) == 1 and not added:
                return await self._reconcile_folder_and_delete(folders[0], list(entries.values()))
            others = await self._write_moves_together(added, folders, held)
        await self._import_together(others, folders, held)
        allowed = await self._delete(list(entries.values()), report=False)
        for folder in folders:
            allowed = await self.reconcile_folder(folder) and allowed
        return allowed

    async def _reconcile_folder_and_delete(self, folder: str, entries: Sequence[CatalogEntry]) -> bool:
        folder_allowed = await self.reconcile_folder(folder)
        return await self._delete(entries, report=False) and folder_allowed

    async def _write_moves_together(
        self, added: Sequence[Added], folders: Sequence[str], held: _HeldFiles
    ) -> list[Added]:
        """Write the moves among these files and below these folders; the other ones of these files."""
        others: list[Added] = []
        for start in range(0, len(added), BATCH):
            others += await self._applier.write_moves(added[start : start + BATCH])
        for folder in folders:
            await self._write_moves_below(folder, held)
        return others

    async def _import_together(
        self, files: Sequence[Added], folders: Sequence[str], held: _HeldFiles
    ) -> None:
        """Import files that are no moves, and those below several folders."""
        if not folders and len(files) <= BATCH:
            await self._applier.import_files(files, live=True)
            return
        await self._apply(files, live=True)
        if len(folders) > 1 and not held.overflowed:
            await self._apply(held.files, live=True)
        elif len(folders) > 1:
            for folder in folders:
                await self._reconcile_files(folder)

    async def reconcile_folder(self, folder: str, progress: ScanProgress | None = None) -> bool:
        """Reconcile all below a folder (`""`: the library). Whether the guard allowed all deletions.

        A scan passes its `progress`, and its files have the priority of the backlog. New files are in the
        catalog before anything is deleted, for they may have moved. More than REMOVED_LIMIT images are
        counted by a second pass and deleted by a third: by then all moves are written. Moves of all files
        are written before any other file is imported: a copy must not be taken for the moved original.
        """
        removed = await self._reconcile_files(folder, progress)
        if progress is not None and removed.total:
            await self._applier.wait_until_idle()
        if removed.total <= REMOVED_LIMIT:
            return await self._delete(removed.entries, report=progress is not None)
        removed = await self._reconcile_files(folder)
        if not await self._may_delete(removed.entries, removed.total, report=progress is not None):
            return False
        await self._delete_below(folder, removed.total)
        return True

    async def _reconcile_files(self, folder: str, progress: ScanProgress | None = None) -> _RemovedEntries:
        """Write the moves below a folder, then import its other new files; the entries without a file."""
        live = progress is None
        held = _HeldFiles()
        with self._moves.search(scan=not folder):
            removed = await self._write_moves_below(folder, held, progress)
        if not held.overflowed:
            await self._apply(held.files, live=live, progress=progress)
            return removed
        removed = _RemovedEntries()
        async for added in self._compare(folder, removed):
            await self._apply(added, live=live, progress=progress)
        return removed

    async def _write_moves_below(
        self, folder: str, held: _HeldFiles, progress: ScanProgress | None = None
    ) -> _RemovedEntries:
        """Write the moves among the files below a folder, and hold the other new files."""
        removed = _RemovedEntries()
        async for added in self._compare(folder, removed, progress):
            others = await self._applier.write_moves(added)
            held.add(others)
            if progress is not None:
                progress.scanned += len(added) - len(others)
        return removed

    async def _delete_below(self, folder: str, limit: int) -> None:
        """Delete up to `limit` images below a folder whose file is absent: the number that was allowed."""
        removed = _RemovedEntries()
        async for added in self._compare(folder, removed):
            await self._apply(added, live=False)
            if removed.entries and limit > 0:
                limit -= await self._delete_allowed(removed, limit)

    async def _apply(
        self, added: Sequence[Added], *, live: bool, progress: ScanProgress | None = None
    ) -> None:
        for start in range(0, len(added), BATCH):
            batch = added[start : start + BATCH]
            await self._applier.apply_added(batch, live=live)
            if progress is not None:
                progress.scanned += len(batch)

    async def _compare(
        self, folder: str, removed: _RemovedEntries, progress: ScanProgress | None = None
    ) -> AsyncIterator[list[Added]]:
        """One merge of folder and catalog: yields new files in batches, and adds to `removed`."""
        added: list[Added] = []
        adopted: list[Adopted] = []
        unreadable = _UnreadablePaths(self._root)
        count = 0
        async for difference in diff(self._disk(folder), self._entries_below(folder)):
            self._sort(difference, added, removed, progress)
            if isinstance(difference, Unreadable):
                unreadable.add(difference)
            elif isinstance(difference, Adopted):
                adopted.append(difference)
            if len(adopted) >= BATCH:
                await self._applier.adopt_ctimes(adopted)
                adopted.clear()
            count += isinstance(difference, Added | Removed)
            if count >= BATCH:
                yield added
                added, count = [], 0
        if adopted:
            await self._applier.adopt_ctimes(adopted)
        unreadable.report(progress)
        yield added

    def _sort(
        self,
        difference: Difference,
        added: list[Added],
        removed: _RemovedEntries,
        progress: ScanProgress | None,
    ) -> None:
        match difference:
            case Added():
                added.append(difference)
            case Removed():
                removed.add(difference.entry)
            case Adopted() | Unchanged() if progress is not None:
                progress.scanned += 1

    async def _delete(self, entries: Sequence[CatalogEntry], *, report: bool) -> bool:
        """Mark the entries whose file is absent as missing; False where the guard refuses."""
        missing = await self._applier.confirm_missing(entries)
        if not missing:
            return True
        if not await self._may_delete(missing, len(missing), report=report):
            return False
        await self._applier.mark_missing(missing)
        return True

    async def _may_delete(self, entries: Sequence[CatalogEntry], total: int, *, report: bool) -> bool:
        return await self._guard.may_delete([entry.id for entry in entries], total, report=report)

    async def _delete_allowed(self, removed: _RemovedEntries, limit: int) -> int:
        """Delete up to `limit` of a batch; the number. A mount may go in the middle of a walk: check it."""
        missing = (await self._applier.confirm_missing(removed.entries))[:limit]
        removed.entries.clear()
        if not missing or not await self._guard.check_root():
            return 0
        await self._applier.mark_missing(missing)
        return len(missing)

    def _facts_at(self, paths: Sequence[str]) -> dict[str, FileFacts | None]:
        """The file at each path. Paths of a failing disk are left out, and tried by the next scan."""
        files: dict[str, FileFacts | None] = {}
        unreadable = _UnreadablePaths(self._root)
        for path in paths:
            try:
                files[path] = stat_file(self._root, path)
            except OSError as error:
                unreadable.add(Unreadable(path, error.strerror or str(error)))
        unreadable.report()
        return files

    async def _entries_at(self, paths: Sequence[str]) -> dict[str, CatalogEntry]:
        """The images that the catalog has at these paths."""
        entries: dict[str, CatalogEntry] = {}
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            entries |= await retry_while_unavailable(
                "catalog", partial(self._catalog.images.by_paths, self._id, batch)
            )
        return entries

    def _disk(self, folder: str) -> AsyncIterator[WalkItem]:
        return in_batches(self._threads, walk(self._root, folder, self._exclusions))

    async def _entries_below(self, folder: str) -> AsyncIterator[CatalogEntry]:
        """By keyset pagination, so that a scan resumes where it was after an outage of any length."""
        after = ""
        while page := await retry_while_unavailable(
            "catalog", partial(self._catalog.images.list_below, self._id, folder, after=after)
        ):
            for entry in page:
                yield entry
            after = page[-1].file.path


def _topmost(folders: Iterable[str]) -> list[str]:
    """Folders that lie in none of the others: reconciling one covers all below it. In order of path."""
    topmost: list[str] = []
    for folder in folders:
        if not (topmost and (not topmost[-1] or folder.startswith(topmost[-1] + "/"))):
            topmost.append(folder)
    return topmost
