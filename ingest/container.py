"""The daemon's parts, wired together: what lives as long as its process."""

import asyncio
from datetime import timedelta

from ingest.gc_loop import Sweeper
from ingest.household import ProcessServices, build_library_worker
from ingest.library_removal import Dismantler
from ingest.library_worker import LibraryWorker
from ingest.pipeline.batch_writer import Writer
from ingest.pipeline.pipeline import Bounds, Pipeline
from ingest.supervisor import LibrarySupervisor
from ingest.watch import Watcher
from tagify.catalog import Catalog
from tagify.concurrency.retry import OUTAGES, OutageTracker, retry_while_unavailable
from tagify.concurrency.thread_pool import Threads
from tagify.gc import MARK_AGE_S, GarbageCollector
from tagify.metrics import Metrics
from tagify.model import Library
from tagify.settings import IngestSettings
from tagify.storage.store import ObjectStore

STAT_THREADS = 4
"""Threads that list folders and look at files; a dead mount can hold one each."""


class Container:
    """What lives as long as the process; made inside its event loop."""

    def __init__(self, settings: IngestSettings, metrics: Metrics) -> None:
        self.catalog = Catalog(settings, metrics)
        self.blobs = ObjectStore(settings, threads=settings.ingest_workers)
        self.outages = OutageTracker(
            metrics.gauge(
                "ingest_waiting",
                "Calls that wait for a server that is away (catalog, objects), or for a lease.",
            )
        )
        self.watcher = Watcher()
        self.threads = Threads("files", STAT_THREADS)
        self.daemon = LibrarySupervisor(
            self.catalog,
            self._keeper,
            Dismantler(self.catalog, self.blobs, condemned_s=MARK_AGE_S),
            metrics.gauge("ingest_libraries_suspended", "Libraries that are suspended."),
        )
        self.writer = Writer(
            self.catalog,
            metrics,
            batch_size=settings.ingest_batch_size,
            wait_s=settings.ingest_batch_ms / 1000,
            fences=self.daemon.fences,
        )
        self.sweeper = Sweeper(_sweep(settings, self.catalog, self.blobs), metrics, settings.ingest_sweep_s)
        self.pipeline = Pipeline(self.blobs, self.writer, metrics, _bounds(settings))
        self._shared = ProcessServices(
            settings,
            self.catalog,
            self.daemon.library,
            self.daemon.fences,
            self.threads,
            self.watcher,
            self.pipeline,
            self.writer,
            metrics.counter("ingest_events_lost_total", "Times that events were lost and a tree compared."),
        )

    def _keeper(self, library: Library) -> LibraryWorker:
        return build_library_worker(library, self._shared)

    async def run(self) -> None:
        """Work until cancelled; the first part that fails ends all."""
        OUTAGES.set(self.outages)
        await retry_while_unavailable("objects", self.blobs.ensure_buckets)
        await self.watcher.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.writer.run())
                group.create_task(self.pipeline.run())
                group.create_task(self.daemon.run())
                group.create_task(self.sweeper.run())
        finally:
            await self.watcher.close()

    async def close(self) -> None:
        """Let go of threads and connections."""
        await self.threads.close()
        await self.blobs.close()
        await self.catalog.close()


def _sweep(settings: IngestSettings, catalog: Catalog, blobs: ObjectStore) -> GarbageCollector:
    return GarbageCollector(
        catalog,
        blobs,
        missing_for=timedelta(days=settings.ingest_forget_days),
        orphan_age=timedelta(seconds=settings.ingest_sweep_grace_s),
    )


def _bounds(settings: IngestSettings) -> Bounds:
    return Bounds(
        workers=settings.ingest_workers,
        queue_size=settings.ingest_queue_size,
        decode_bytes=settings.ingest_decode_mb * 1_000_000,
        max_pixels=settings.max_pixels,
    )
