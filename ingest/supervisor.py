"""One worker for each library of the catalog; libraries are added and removed while it runs."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ingest.lease import HeldLeases, acquire, new_owner_id, release, renew_until_lost
from ingest.library_removal import LibraryRemover
from ingest.library_state import LibraryRecord, LibraryRegistry
from ingest.library_worker import LibraryWorker
from tagify.catalog import Catalog, LeaseLost
from tagify.concurrency.retry import retry_while_unavailable
from tagify.concurrency.task_supervisor import TaskSupervisor
from tagify.concurrency.tasks import cancel_and_wait, run_to_completion, run_until_first_ends
from tagify.metrics import Gauge
from tagify.model import Library, LibraryId, LibraryState

logger = logging.getLogger(__name__)

POLL_S = 1.0
"""Time between two reads of the list of libraries, in seconds."""


class LibrarySupervisor:
    """Starts and stops a worker for each library in the catalog; if `only_library` is set, for it alone."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        registry: LibraryRegistry,
        leases: HeldLeases,
        build_worker: Callable[[LibraryRecord], LibraryWorker],
        remover: LibraryRemover,
        suspended: Gauge,
        tasks: TaskSupervisor,
    ) -> None:
        self._tasks = tasks
        self._catalog = catalog
        self._registry = registry
        self._leases = leases
        self._build_worker = build_worker
        self._remover = remover
        self._suspended = suspended
        self._workers: dict[LibraryId, asyncio.Task[None]] = {}
        self._removals: dict[LibraryId, asyncio.Task[None]] = {}
        self._owner = new_owner_id()
        self.only_library: LibraryId | None = None

    async def run(self) -> None:
        """Supervise until cancelled."""
        await retry_while_unavailable("catalog", self._catalog.ensure_indexes)
        try:
            while True:
                await self._sync_libraries(
                    await retry_while_unavailable("catalog", self._catalog.libraries.list_all)
                )
                await asyncio.sleep(POLL_S)
        finally:
            await run_to_completion(cancel_and_wait(*self._workers.values(), *self._removals.values()))
            self._workers.clear()

    async def _sync_libraries(self, polled: Sequence[Library]) -> None:
        """Update the registry, then start and stop workers and removals to match it."""
        libraries = [library for library in polled if self.only_library in (None, library.id)]
        await self._stop_moved(libraries)
        self._registry.refresh(libraries)
        self._suspended.set(sum(library.state is LibraryState.SUSPENDED for library in libraries))
        active = {library.id for library in libraries if library.state is not LibraryState.REMOVING}
        for library_id in self._workers.keys() - active:
            await self._stop_worker(library_id)
        for library in libraries:
            if library.state is LibraryState.REMOVING:
                self._ensure_removal(library)
            elif library.id not in self._workers:
                self._start_worker(library)

    async def _stop_moved(self, libraries: Sequence[Library]) -> None:
        """Stop the workers of libraries with a new path: a worker has one root, so a new one follows."""
        for library in libraries:
            if library.id in self._workers and self._registry.record(library.id).root != library.path:
                logger.info("library moved from %s", self._registry.record(library.id).root)
                await self._stop_worker(library.id)

    def _start_worker(self, library: Library) -> None:
        worker = self._build_worker(self._registry.record(library.id))
        self._workers[library.id] = self._tasks.supervise(
            "library worker", lambda: self._work(worker, library), restart=True, library=library.name
        )

    async def _stop_worker(self, library_id: LibraryId) -> None:
        await cancel_and_wait(self._workers.pop(library_id))

    async def _work(self, worker: LibraryWorker, library: Library) -> None:
        """Run the worker whenever its lease is ours."""
        while True:
            await self._under_lease(library, lambda token: self._run_worker(worker, library, token))

    async def _run_worker(self, worker: LibraryWorker, library: Library, token: int) -> None:
        self._leases.add(library.id, token)
        try:
            await worker.run()
        finally:
            self._leases.remove(library.id)

    async def _under_lease(self, library: Library, work: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        """Run `work` with the fencing token of the library's lease, until it ends or the lease is lost."""
        try:
            token = await acquire(self._catalog, library, self._owner)
            await run_until_first_ends(work(token), renew_until_lost(self._catalog, library, token))
        finally:
            await run_to_completion(release(self._catalog, library, self._owner))

    def _ensure_removal(self, library: Library) -> None:
        """Start the removal of the library unless it is running; the files stay on disk."""
        task = self._removals.get(library.id)
        if task is None or task.done():
            self._removals[library.id] = self._tasks.supervise(
                "library removal", lambda: self._remove(library), restart=True, library=library.name
            )

    async def _remove(self, library: Library) -> None:
        """Remove the library. Its token is not in HeldLeases: writes still in the pipeline are rejected."""
        try:
            await self._under_lease(library, lambda token: self._remover.run(library, token))
        except LeaseLost as lost:
            logger.warning("lease of a library under removal lost: %s", lost)
