"""What lives as long as a library is kept, wired together from what lives as long as the process."""

import time
from dataclasses import dataclass

from ingest.library_worker import LibraryWorker, ScanSchedule
from ingest.paths import Exclusions
from ingest.pipeline.batch_writer import Leases, Writer
from ingest.pipeline.delay_queue import DelayQueue
from ingest.pipeline.pipeline import Pipeline
from ingest.sync.change_applier import ChangeApplier, Libraries
from ingest.sync.deletion_guard import Removals
from ingest.sync.reconciler import Reconciler
from ingest.sync.root_guard import Guard
from ingest.watch import Watcher
from ingest.watch.debounce import Debouncer, PathEvent
from tagify.catalog import Catalog, LibraryStatusWriter
from tagify.concurrency.thread_pool import Threads
from tagify.metrics import Counter
from tagify.model import Library
from tagify.settings import IngestSettings


@dataclass(frozen=True, slots=True)
class ProcessServices:
    """What all libraries of a process share."""

    settings: IngestSettings
    catalog: Catalog
    libraries: Libraries
    fences: Leases
    threads: Threads
    watcher: Watcher
    pipeline: Pipeline
    writer: Writer
    lost: Counter


def build_library_worker(library: Library, shared: ProcessServices) -> LibraryWorker:
    """The keeper of a library, with parts of its own."""
    settings = shared.settings
    settling = Debouncer(settings.ingest_settle_s)
    exclusions, intake = Exclusions(settings.ingest_exclude), _intake(library, settling, shared)
    keeping = shared.catalog.library_status(library.id, lambda: shared.fences([library.id])[library.id])
    return LibraryWorker(
        _guard(library, keeping, shared),
        keeping=keeping,
        comparer=Reconciler(
            library.id,
            library.path,
            catalog=shared.catalog,
            threads=shared.threads,
            exclusions=exclusions,
            intake=intake,
        ),
        watcher=shared.watcher,
        threads=shared.threads,
        exclusions=exclusions,
        settling=settling,
        intake=intake,
        rhythm=ScanSchedule(
            settings.ingest_reconcile_s,
            settings.ingest_poll_s,
            frozenset(settings.ingest_poll_filesystems),
        ),
        lost=shared.lost,
    )


def _intake(library: Library, settling: Debouncer, shared: ProcessServices) -> ChangeApplier:
    return ChangeApplier(
        library.id,
        library.path,
        libraries=shared.libraries,
        catalog=shared.catalog,
        pipeline=shared.pipeline,
        writer=shared.writer,
        threads=shared.threads,
        ageing=DelayQueue(shared.settings.ingest_settle_s),
        is_unquiet=settling.waits_for,
        again=lambda path, sign: settling.note(PathEvent(path, sign), time.monotonic()),
    )


def _guard(library: Library, keeping: LibraryStatusWriter, shared: ProcessServices) -> Guard:
    def removals(guard: Guard) -> Removals:
        return Removals(
            keeping,
            lambda: guard.library,
            wait_s=shared.settings.ingest_removal_wait_s,
            clock=time.monotonic,
        )

    return Guard(library, keeping, shared.threads, removals)
