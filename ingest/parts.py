"""The daemon's parts, wired together: what lives as long as its process."""

import asyncio
import time
from datetime import timedelta

from ingest.ageing import Ageing
from ingest.daemon import Daemon
from ingest.dismantler import Dismantler
from ingest.guard import Guard
from ingest.intake import Intake
from ingest.keeper import Keeper, Rhythm
from ingest.paths import Exclusions
from ingest.patience import WAITS, Waits, patiently
from ingest.pipeline import Bounds, Pipeline
from ingest.removals import Removals
from ingest.settle import Note, Settling
from ingest.sweeper import Sweeper
from ingest.watcher import Watcher
from ingest.writer import Writer
from tagify.blobs import Blobs
from tagify.catalog import Catalog
from tagify.metrics import Metrics
from tagify.model import Library
from tagify.settings import IngestSettings
from tagify.sweep import CONDEMNED_S, Sweep
from tagify.threads import Threads

STAT_THREADS = 4
"""Threads that list folders and look at files; a dead mount can hold one each."""


class Parts:
    """What lives as long as the process; made inside its event loop."""

    def __init__(self, settings: IngestSettings, metrics: Metrics) -> None:
        self._settings = settings
        self.catalog = Catalog(settings, metrics)
        self.blobs = Blobs(settings, threads=settings.ingest_workers)
        self.waits = Waits(
            metrics.gauge(
                "ingest_waiting",
                "Calls that wait for a server that is away (catalog, objects), or for a lease.",
            )
        )
        self.watcher = Watcher()
        self.threads = Threads("files", STAT_THREADS)
        self.daemon = Daemon(
            self.catalog,
            self.keeper,
            Dismantler(self.catalog, self.blobs, condemned_s=CONDEMNED_S),
            metrics.gauge("ingest_libraries_suspended", "Libraries that are suspended."),
        )
        self.writer = Writer(
            self.catalog,
            metrics,
            batch_size=settings.ingest_batch_size,
            wait_s=settings.ingest_batch_ms / 1000,
            fences=self.daemon.fences,
        )
        self.sweeper = Sweeper(
            Sweep(
                self.catalog,
                self.blobs,
                forget=timedelta(days=settings.ingest_forget_days),
                grace=timedelta(seconds=settings.ingest_sweep_grace_s),
            ),
            metrics,
            settings.ingest_sweep_s,
        )
        self.pipeline = Pipeline(
            self.blobs,
            self.writer,
            metrics,
            Bounds(
                workers=settings.ingest_workers,
                queue_size=settings.ingest_queue_size,
                decode_bytes=settings.ingest_decode_mb * 1_000_000,
                max_pixels=settings.max_pixels,
            ),
        )
        self._exclusions = Exclusions(settings.ingest_exclude)
        self._lost = metrics.counter(
            "ingest_events_lost_total", "Times that events were lost and a tree compared."
        )

    def keeper(self, library: Library) -> Keeper:
        """The keeper of a library."""
        settling = Settling(self._settings.ingest_settle_s)
        intake = Intake(
            library.id,
            library.path,
            libraries=self.daemon.library,
            catalog=self.catalog,
            pipeline=self.pipeline,
            writer=self.writer,
            threads=self.threads,
            ageing=Ageing(self._settings.ingest_settle_s),
            is_unquiet=settling.waits_for,
            again=lambda path, sign: settling.note(Note(path, sign), time.monotonic()),
        )
        settings = self._settings
        guard = Guard(
            library,
            self.catalog,
            self.threads,
            lambda guard: Removals(
                self.catalog,
                lambda: guard.library,
                wait_s=settings.ingest_removal_wait_s,
                clock=time.monotonic,
            ),
        )
        return Keeper(
            guard,
            catalog=self.catalog,
            watcher=self.watcher,
            threads=self.threads,
            exclusions=self._exclusions,
            settling=settling,
            intake=intake,
            rhythm=Rhythm(
                settings.ingest_reconcile_s,
                settings.ingest_poll_s,
                frozenset(settings.ingest_poll_filesystems),
            ),
            lost=self._lost,
        )

    async def run(self) -> None:
        """Work until cancelled; the first part that fails ends all."""
        WAITS.set(self.waits)
        await patiently("objects", self.blobs.ensure_buckets)
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
