"""Applies the differences that a scan or an event found: a file to import, a move, or a missing file.

The scanner and the event follower run concurrently, and the catalog may have changed since they read it. So
every difference is checked again here, files in the pipeline are skipped, and every write names the path
that it was decided for.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic

from ingest.job import ImportJob, JobResult
from ingest.library_state import LibraryRecord
from ingest.library_threads import LibraryThreads
from ingest.pipeline.batch_writer import BatchWriter
from ingest.pipeline.delay_queue import DelayQueue
from ingest.pipeline.pipeline import Pipeline
from ingest.sync.diff import Added, Adopted
from ingest.sync.file_presence import is_absent
from ingest.sync.move_detector import MoveDetector
from ingest.watch.debounce import Debouncer, EventKind, PathEvent
from tagify.catalog import Catalog, ImageCommand, MarkMissing, MoveImage
from tagify.concurrency.retry import retry_while_unavailable
from tagify.model import CatalogEntry

LOOKUP_BATCH = 1000
"""Paths that are looked up in the catalog by one query."""


class ChangeApplier:
    """Applies the differences of one library, and processes the results of its import jobs."""

    def __init__(
        self,
        record: LibraryRecord,
        *,
        catalog: Catalog,
        pipeline: Pipeline,
        batch_writer: BatchWriter,
        move_detector: MoveDetector,
        delay_queue: DelayQueue,
        debouncer: Debouncer,
        threads: LibraryThreads,
    ) -> None:
        self._record = record
        self._catalog = catalog
        self._pipeline = pipeline
        self._batch_writer = batch_writer
        self._move_detector = move_detector
        self._delay_queue = delay_queue
        self._debouncer = debouncer
        self._threads = threads
        self._in_flight: dict[str, bool] = {}
        """Path of each file in flight → whether an event was reported at the path meanwhile."""
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Submit the files that were too young as they reach the settle time, until cancelled."""
        try:
            while True:
                await self._submit(await self._delay_queue.get())
        finally:
            for job in self._delay_queue.drain():
                self._process_result(job.file.path, JobResult.DONE)

    @property
    def in_flight_count(self) -> int:
        """Files in the pipeline or the delay queue."""
        return len(self._in_flight)

    async def wait_until_idle(self) -> None:
        """Return when no file of this library is in flight."""
        await self._idle.wait()

    def defer_if_in_flight(self, path: str) -> bool:
        """Whether the file at this path is in flight; if so, its path is reconciled again afterwards."""
        if path in self._in_flight:
            self._in_flight[path] = True
            return True
        return False

    async def write_moves(self, added: Sequence[Added]) -> list[Added]:
        """Write the moves among new and changed files; the other files, which must be imported."""
        files = {item.file.path: item.file for item in added if not self.defer_if_in_flight(item.file.path)}
        if not files:
            return []
        entries = await self._entries_at(list(files))
        files = {
            path: file
            for path, file in files.items()
            if path not in entries or not entries[path].file.same_version_as(file)
        }
        moves = await self._move_detector.detect(self._record.library, files.values())
        refused = await self._write_moves(moves) if moves else []
        moved = {move.file.path for move in moves if move not in refused}
        return [
            Added(file, is_known=path in entries and entries[path].file.same_file_as(file))
            for path, file in files.items()
            if path not in moved
        ]

    async def apply_added(self, added: Sequence[Added], *, live: bool) -> None:
        """Write moves, and import all other files that are new or changed."""
        await self.import_files(await self.write_moves(added), live=live)

    async def import_files(self, files: Sequence[Added], *, live: bool) -> None:
        """Import files that are no moves."""
        for item in files:
            await self._import(item, live=live)

    async def adopt_ctimes(self, files: Sequence[Adopted]) -> None:
        """Store the ctime of files whose images have none: those of an older release."""
        await self._batch_writer.write_all(
            [MoveImage(item.entry, self._record.id, item.file) for item in files]
        )

    async def confirm_missing(self, entries: Sequence[CatalogEntry]) -> list[CatalogEntry]:
        """Entries whose file is certainly absent and that have not moved: checks disk and catalog again."""
        idle = [entry for entry in entries if not self.defer_if_in_flight(entry.file.path)]
        absent = await self._threads.run(self._absent, idle)
        missing: list[CatalogEntry] = []
        for start in range(0, len(absent), LOOKUP_BATCH):
            batch = absent[start : start + LOOKUP_BATCH]
            current = await self._entries_at([entry.file.path for entry in batch])
            current_ids = {entry.id for entry in current.values()}
            missing += [entry for entry in batch if entry.id in current_ids]
        return missing

    async def mark_missing(self, entries: Sequence[CatalogEntry]) -> None:
        """Hide images whose file is missing."""
        await self._batch_writer.write_all(
            [MarkMissing(entry.id, self._record.id, entry.file.path) for entry in entries]
        )

    async def _write_moves(self, moves: Sequence[MoveImage]) -> Sequence[ImageCommand]:
        """Write moves; those that the catalog refused, whose files must be imported.

        Reconciles again where another task has moved the image meanwhile.
        """
        refused = await self._batch_writer.write_all(moves)
        entries = await self._entries_at([move.file.path for move in moves])
        for move in moves:
            entry = entries.get(move.file.path)
            if move not in refused and (entry is None or entry.id != move.entry.id):
                self._reconcile_again(move.file.path, EventKind.CLOSED)
        return refused

    async def _entries_at(self, paths: list[str]) -> dict[str, CatalogEntry]:
        return await retry_while_unavailable(
            "catalog", partial(self._catalog.images.by_paths, self._record.id, paths)
        )

    def _absent(self, entries: Sequence[CatalogEntry]) -> list[CatalogEntry]:
        return [entry for entry in entries if is_absent(self._record.root, entry.file.path)]

    async def _import(self, item: Added, *, live: bool) -> None:
        """Submit the file, or delay it while it is too young. A path that will be reconciled is skipped."""
        path = item.file.path
        if self.defer_if_in_flight(path) or self._debouncer.is_pending(path):
            return
        self._in_flight[path] = False
        self._idle.clear()
        job = ImportJob(self._record.id, self._record.root, item.file, live, item.is_known)
        if self._delay_queue.remaining_s(job):
            with self._done_if_cancelled(job):
                await self._delay_queue.put(job)
        else:
            await self._submit(job)

    async def _submit(self, job: ImportJob) -> None:
        """Submit to the pipeline, waiting for capacity; the result is processed when its future resolves."""
        with self._done_if_cancelled(job):
            result = await self._pipeline.submit(job)
        result.add_done_callback(lambda done: self._process_result(job.file.path, done.result()))

    @contextmanager
    def _done_if_cancelled(self, job: ImportJob) -> Iterator[None]:
        """Process a job that a cancellation kept out of the queue as done."""
        try:
            yield
        except asyncio.CancelledError:
            self._process_result(job.file.path, JobResult.DONE)
            raise

    def _process_result(self, path: str, result: JobResult) -> None:
        """Remove a file from those in flight; reconcile its path again if result or event require it."""
        had_event = self._in_flight.pop(path, False)
        if not self._in_flight:
            self._idle.set()
        if result is JobResult.REJECTED:
            # The reason of a rejection may last for a while: use the longest wait.
            self._reconcile_again(path, EventKind.MODIFIED)
        elif result is JobResult.CHANGED:
            self._reconcile_again(path, EventKind.CREATED)
        elif had_event:
            self._reconcile_again(path, EventKind.CLOSED)

    def _reconcile_again(self, path: str, kind: EventKind) -> None:
        """Add an event to the debouncer; its kind determines the wait."""
        self._debouncer.add(PathEvent(path, kind), monotonic())
