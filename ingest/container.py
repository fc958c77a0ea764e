"""Composition root: builds the objects of the process, and those of each library's worker."""

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from ingest.gc_loop import GcLoop
from ingest.lease import HeldLeases
from ingest.library_removal import LibraryRemover
from ingest.library_state import LibraryRecord, LibraryRegistry
from ingest.library_threads import LibraryThreadPools, LibraryThreads
from ingest.library_worker import LibraryWorker
from ingest.paths import Exclusions
from ingest.pipeline.batch_writer import BatchWriter
from ingest.pipeline.decoder import SandboxDecoder
from ingest.pipeline.delay_queue import DelayQueue
from ingest.pipeline.disk_space import DiskSpaceGuard
from ingest.pipeline.importer import Importer
from ingest.pipeline.pipeline import Pipeline, PipelineLimits
from ingest.supervisor import LibrarySupervisor
from ingest.sync.change_applier import ChangeApplier
from ingest.sync.content_lookup import CatalogContentLookup
from ingest.sync.deletion_guard import DeletionGuard
from ingest.sync.event_follower import EventFollower
from ingest.sync.file_presence import FilePresence
from ingest.sync.move_detector import MoveDetector
from ingest.sync.pending_moves import LibraryMoves, PendingMoves
from ingest.sync.reconciler import Reconciler
from ingest.sync.root_guard import RootGuard
from ingest.sync.root_watch import RootWatch
from ingest.sync.scanner import LibraryScanner
from ingest.sync.schedule import ScanSchedule
from ingest.watch import Watcher
from ingest.watch.debounce import Debouncer
from tagify.catalog import Catalog
from tagify.concurrency.retry import OUTAGES, OutageTracker, retry_while_unavailable
from tagify.concurrency.task_supervisor import TaskSupervisor
from tagify.concurrency.tasks import cancel_and_wait, run_to_completion
from tagify.gc import MARK_AGE_S, GarbageCollector
from tagify.metrics import Counter, Metrics
from tagify.settings import IngestSettings
from tagify.storage.store import ObjectStore


@dataclass(frozen=True, slots=True)
class ProcessServices:
    """Objects that the workers of all libraries share."""

    settings: IngestSettings
    catalog: Catalog
    presence: FilePresence
    threads: LibraryThreadPools
    pipeline: Pipeline
    batch_writer: BatchWriter
    events_lost: Counter
    pending_moves: PendingMoves


class Container:
    """The objects of the process. Create it inside the event loop."""

    def __init__(self, settings: IngestSettings, metrics: Metrics, tasks: TaskSupervisor) -> None:
        self.tasks = tasks
        self.catalog = Catalog(settings, metrics)
        self.store = ObjectStore(settings, metrics, threads=settings.ingest_workers)
        self.outages = OutageTracker(
            metrics.gauge(
                "tagify_ingest_waiting_calls",
                "Calls blocked by a server that is down (catalog, objects), a lease, or a full disk.",
                old="ingest_waiting",
            )
        )
        self._library_files = metrics.gauge(
            "tagify_library_files", "Files of a library, by state: indexed, failed or damaged."
        )
        metrics.add_refresher(self.refresh_library_metrics)
        self.threads = LibraryThreadPools(settings.ingest_root_check_s)
        self.leases = HeldLeases()
        self.registry = LibraryRegistry(self.catalog, self.leases)
        self.presence = FilePresence(self.registry, self.threads)
        self.pending_moves = PendingMoves()
        self.batch_writer = self._build_batch_writer(settings, metrics)
        self.pipeline = self._build_pipeline(settings, metrics)
        self.supervisor = self._build_supervisor(settings, metrics)
        self.gc_loop = GcLoop(
            _garbage_collector(settings, self.catalog, self.store), metrics, settings.ingest_sweep_s
        )

    async def run(self) -> None:
        """Work until cancelled, or until a task has a fatal failure. Raises BackgroundTaskFailed.

        A failure of the writer or the pipeline is fatal: the jobs that were in it would never end.
        """
        OUTAGES.set(self.outages)
        await retry_while_unavailable("objects", self.store.ensure_buckets)
        tasks = [
            self.tasks.supervise("batch writer", self.batch_writer.run, restart=False),
            self.tasks.supervise("import pipeline", self.pipeline.run, restart=False),
            self.tasks.supervise("library supervisor", self.supervisor.run, restart=True),
            self.tasks.supervise("garbage collection", self.gc_loop.run, restart=True),
        ]
        try:
            await self.tasks.wait_for_failure()
        finally:
            await run_to_completion(cancel_and_wait(*tasks))

    async def refresh_library_metrics(self) -> None:
        """Set the gauge of files by library. Raises Unavailable."""
        libraries = await self.catalog.libraries.list_all()
        self._library_files.clear()
        for library in libraries:
            for state, count in (
                ("failed", library.failed_count),
                ("damaged", library.damaged_count),
                ("indexed", library.indexed_count),
            ):
                self._library_files.set(count, library=library.id, state=state)

    async def close(self) -> None:
        """Close threads and connections."""
        await self.threads.close()
        await self.store.close()
        await self.catalog.close()

    def _build_batch_writer(self, settings: IngestSettings, metrics: Metrics) -> BatchWriter:
        return BatchWriter(
            self.catalog,
            metrics,
            batch_size=settings.ingest_batch_size,
            wait_s=settings.ingest_batch_ms / 1000,
            leases=self.leases,
        )

    def _build_pipeline(self, settings: IngestSettings, metrics: Metrics) -> Pipeline:
        decoder = SandboxDecoder(
            decoders=min(os.cpu_count() or 1, settings.ingest_workers),
            decode_bytes=settings.ingest_decode_mb * 1_000_000,
            memory_bytes=settings.ingest_decoder_mb << 20,
            max_pixels=settings.max_pixels,
            deadline_s=settings.ingest_decode_s,
        )
        lookup = CatalogContentLookup(self.catalog, self.presence, self.pending_moves)
        limits = PipelineLimits(settings.ingest_workers, settings.ingest_queue_size)
        disk_space = DiskSpaceGuard(settings.ingest_disk_folders, settings.ingest_min_free_mb)
        importer = Importer(self.store, lookup, decoder, self.threads)
        return Pipeline(importer, self.batch_writer, metrics, limits, disk_space)

    def _build_supervisor(self, settings: IngestSettings, metrics: Metrics) -> LibrarySupervisor:
        services = ProcessServices(
            settings,
            self.catalog,
            self.presence,
            self.threads,
            self.pipeline,
            self.batch_writer,
            metrics.counter(
                "tagify_ingest_events_lost_total",
                "Losses of inotify events, each followed by a rescan.",
                old="ingest_events_lost_total",
            ),
            self.pending_moves,
        )
        return LibrarySupervisor(
            self.catalog,
            registry=self.registry,
            leases=self.leases,
            build_worker=partial(build_library_worker, services),
            remover=LibraryRemover(self.catalog, self.store, mark_age_s=MARK_AGE_S),
            suspended=metrics.gauge(
                "tagify_ingest_libraries_suspended", "Suspended libraries.", old="ingest_libraries_suspended"
            ),
            tasks=self.tasks,
        )


def build_library_worker(services: ProcessServices, record: LibraryRecord) -> LibraryWorker:
    """The worker of one library, with the objects that only this library uses."""
    settings = services.settings
    exclusions = Exclusions(settings.ingest_exclude)
    debouncer = Debouncer(settings.ingest_settle_s)
    schedule = _schedule(settings)
    threads = services.threads.of(record.root)
    guard = _root_guard(services, record, threads)
    applier = _change_applier(services, record, debouncer, threads)
    moves = LibraryMoves(record.root, debouncer, threads)
    services.pending_moves.add(moves)
    reconciler = Reconciler(
        record,
        guard,
        catalog=services.catalog,
        threads=threads,
        exclusions=exclusions,
        applier=applier,
        moves=moves,
    )
    root_watch = RootWatch(
        record,
        guard,
        watcher=Watcher(threads),
        exclusions=exclusions,
        threads=threads,
        schedule=schedule,
    )
    scanner = LibraryScanner(
        record,
        guard,
        root_watch=root_watch,
        reconciler=reconciler,
        applier=applier,
        schedule=schedule,
        moves=moves,
    )
    follower = EventFollower(
        record,
        guard,
        root_watch=root_watch,
        debouncer=debouncer,
        reconciler=reconciler,
        events_lost=services.events_lost,
    )
    return LibraryWorker(
        record, root_watch=root_watch, scanner=scanner, follower=follower, applier=applier, moves=moves
    )


def _root_guard(services: ProcessServices, record: LibraryRecord, threads: LibraryThreads) -> RootGuard:
    wait_s = services.settings.ingest_removal_wait_s
    deletions = DeletionGuard(
        record,
        still_missing=lambda images: retry_while_unavailable(
            "catalog", partial(services.catalog.images.still_missing, images)
        ),
        wait_s=wait_s,
        clock=time.monotonic,
    )
    return RootGuard(record, deletions, threads)


def _change_applier(
    services: ProcessServices, record: LibraryRecord, debouncer: Debouncer, threads: LibraryThreads
) -> ChangeApplier:
    return ChangeApplier(
        record,
        catalog=services.catalog,
        pipeline=services.pipeline,
        batch_writer=services.batch_writer,
        move_detector=MoveDetector(services.catalog, services.presence, threads),
        delay_queue=DelayQueue(services.settings.ingest_settle_s),
        debouncer=debouncer,
        threads=threads,
    )


def _schedule(settings: IngestSettings) -> ScanSchedule:
    return ScanSchedule(
        settings.ingest_reconcile_s, settings.ingest_poll_s, frozenset(settings.ingest_poll_filesystems)
    )


def _garbage_collector(settings: IngestSettings, catalog: Catalog, store: ObjectStore) -> GarbageCollector:
    return GarbageCollector(
        catalog,
        store,
        missing_for=timedelta(days=settings.ingest_forget_days),
        orphan_age=timedelta(seconds=settings.ingest_sweep_grace_s),
    )
