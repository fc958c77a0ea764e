"""What a difference means: a file to read, an image that moved, or one that has gone.

Two tasks bring differences, the scan and the follower of events, and each may have looked at
the catalog a moment ago. So every difference is checked again here, what is being read is
not touched, and what the catalog is asked to write names the place it speaks of.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from ingest.job import ContentMatches, Job, JobResult
from ingest.pipeline.batch_writer import Writer
from ingest.pipeline.delay_queue import DelayQueue
from ingest.pipeline.pipeline import Pipeline
from ingest.sync.diff import Added
from ingest.sync.root_identity import probe, suspension_reason
from ingest.sync.walk import facts_at
from ingest.watch.debounce import EventKind
from tagify.catalog import Catalog, MarkMissing, MoveImage
from tagify.concurrency.retry import retry_while_unavailable
from tagify.concurrency.thread_pool import Threads
from tagify.model import CatalogEntry, Content, FileFacts, ImageState, Library, LibraryId, LibraryState

Libraries = Callable[[LibraryId], Library | None]
"""Any library by its id: an image may have moved here from another one."""

ASKED = 1000
"""Paths that the catalog is asked about at once."""


class ChangeApplier:
    """Takes the differences of one library."""

    def __init__(
        self,
        library_id: LibraryId,
        root: str,
        *,
        libraries: Libraries,
        catalog: Catalog,
        pipeline: Pipeline,
        writer: Writer,
        threads: Threads,
        ageing: DelayQueue,
        is_unquiet: Callable[[str], bool],
        again: Callable[[str, EventKind], None],
    ) -> None:
        """`is_unquiet` tells of a path that will be looked at when it is quiet: its file may still be open.

        `again` is called with a path that must be looked at once more, and how long that may wait.
        """
        self._id = library_id
        self._root = root
        self._libraries = libraries
        self._catalog = catalog
        self._pipeline = pipeline
        self._writer = writer
        self._threads = threads
        self._ageing = ageing
        self._is_unquiet = is_unquiet
        self._again = again
        self._reading: dict[str, bool] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Hand the files that were too young to be read on as they come of age, until cancelled."""
        try:
            while True:
                job = await self._ageing.get()
                await self._handed_over(job, self._pipeline.put(job))
        finally:
            self._ageing.give_up()

    @property
    def in_flight(self) -> int:
        """Files on their way through the pipeline."""
        return len(self._reading)

    async def drained(self) -> None:
        """Return when no file of this library is on its way."""
        await self._idle.wait()

    def is_reading(self, path: str) -> bool:
        """Whether the file at this path is on its way; it will be looked at again when it is through."""
        if path in self._reading:
            self._reading[path] = True
            return True
        return False

    async def arrive(self, arrivals: Sequence[Added], *, live: bool) -> None:
        """Take files that are new or changed: as a move where it is one, else through the pipeline."""
        files = {
            arrival.file.path: arrival.file for arrival in arrivals if not self.is_reading(arrival.file.path)
        }
        if not files:
            return
        there = await retry_while_unavailable(
            "catalog", lambda: self._catalog.images.by_paths(self._id, list(files))
        )
        files = {path: file for path, file in files.items() if path not in there or there[path].file != file}
        moves = await self._moves(files)
        if moves:
            await self._move(moves)
        for path in files.keys() - {move.file.path for move in moves}:
            await self._read(files[path], live=live)

    async def gone(self, entries: Sequence[CatalogEntry]) -> list[CatalogEntry]:
        """Those of them whose file is not there and which have not moved, by one more look at both."""
        free = [entry for entry in entries if not self.is_reading(entry.file.path)]
        absent = await self._threads.run(self._absent, free)
        still: list[CatalogEntry] = []
        for start in range(0, len(absent), ASKED):
            some = absent[start : start + ASKED]
            paths = [entry.file.path for entry in some]
            there = await retry_while_unavailable(
                "catalog", partial(self._catalog.images.by_paths, self._id, paths)
            )
            still += [entry for entry in some if entry.id in {found.id for found in there.values()}]
        return still

    async def depart(self, entries: Sequence[CatalogEntry]) -> None:
        """Hide images whose file has gone."""
        await self._writer.write_all([MarkMissing(entry.id, self._id, entry.file.path) for entry in entries])

    async def _moves(self, files: dict[str, FileFacts]) -> list[MoveImage]:
        """A move for each file that is an image's own, come from a place where it is not any more."""
        inodes = [file.inode for file in files.values()]
        known = (
            await retry_while_unavailable("catalog", lambda: self._catalog.images.by_inodes(inodes))
            if inodes
            else []
        )
        by_inode: dict[int, list[CatalogEntry]] = {}
        for entry in known:
            by_inode.setdefault(entry.file.inode, []).append(entry)
        moves: list[MoveImage] = []
        taken: set[str] = set()
        for file in files.values():
            for entry in by_inode.get(file.inode, ()):
                if entry.id in taken or not entry.file.same_file_as(file):
                    continue
                if await self._threads.run(self._has_left, entry):
                    taken.add(entry.id)
                    moves.append(MoveImage(entry, self._id, file))
                    break
        return moves

    async def _move(self, moves: Sequence[MoveImage]) -> None:
        """Have them written; look again where an image has been moved by another task meanwhile."""
        await self._writer.write_all(moves)
        paths = [move.file.path for move in moves]
        there = await retry_while_unavailable(
            "catalog", lambda: self._catalog.images.by_paths(self._id, paths)
        )
        for move in moves:
            found = there.get(move.file.path)
            if found is None or found.id != move.entry.id:
                self._again(move.file.path, EventKind.CLOSED)

    def _has_left(self, entry: CatalogEntry) -> bool:
        """Whether the image's file is not where the catalog has it (a hard link still is)."""
        if entry.state is ImageState.MISSING:
            return True
        library = self._libraries(entry.library_id)
        if library is None:
            return False
        try:
            there = facts_at(library.path, entry.file.path)
        except OSError:
            return False
        # The root is asked last: most files are there, and one that is not may have gone with its mount.
        return (there is None or there.inode != entry.file.inode) and _is_well(library)

    def _absent(self, entries: Sequence[CatalogEntry]) -> list[CatalogEntry]:
        return [entry for entry in entries if self._is_absent(entry.file.path)]

    def _is_absent(self, path: str) -> bool:
        """Whether no file is there for certain: a disk that fails says nothing of what it holds."""
        try:
            return facts_at(self._root, path) is None
        except OSError:
            return False

    async def _read(self, file: FileFacts, *, live: bool) -> None:
        path = file.path
        if self.is_reading(path) or self._is_unquiet(path):
            return
        self._reading[path] = False
        self._idle.clear()
        job = Job(self._id, self._root, file, live, self._twins, lambda outcome: self._finish(path, outcome))
        await self._handed_over(
            job, self._ageing.put(job) if self._ageing.missing_s(job) else self._pipeline.put(job)
        )

    async def _handed_over(self, job: Job, putting: Awaitable[None]) -> None:
        """A job that could not be handed over comes to its end here."""
        try:
            await putting
        except asyncio.CancelledError:
            job.finished(JobResult.DONE)
            raise

    async def _twins(self, content: Content) -> ContentMatches:
        found = await retry_while_unavailable("catalog", lambda: self._catalog.images.by_content(content))
        present = [entry for entry in found if entry.state is not ImageState.MISSING]
        left = await self._threads.run(lambda: next(filter(self._has_left, present), None))
        ready = any(entry.state is ImageState.READY for entry in found)
        return ContentMatches(stored=ready, known=bool(found), left=left)

    def _finish(self, path: str, outcome: JobResult) -> None:
        happened = self._reading.pop(path, False)
        if not self._reading:
            self._idle.set()
        if outcome is JobResult.REFUSED:
            # What the catalog refused may take a while to mend.
            self._again(path, EventKind.WRITTEN)
        elif outcome is JobResult.CHANGED:
            self._again(path, EventKind.APPEARED)
        elif happened:
            self._again(path, EventKind.CLOSED)


def _is_well(library: Library) -> bool:
    """Whether what is not in this library's folder has really left it."""
    sight = probe(library.path, library.id)
    reason = suspension_reason(library.path, library.id, sight, library.identity, library.indexed_count)
    return library.state is LibraryState.ACTIVE and reason is None
