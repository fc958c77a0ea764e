"""One keeper for each library of the catalog; libraries come and go while it runs."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from ingest.lease import acquire, owner_name, release, renew_until_lost
from ingest.library_removal import Dismantler
from ingest.library_worker import LibraryWorker
from tagify.catalog import Catalog, LeaseLost
from tagify.concurrency.retry import retry_while_unavailable
from tagify.concurrency.tasks import cancel_and_wait, run_to_completion
from tagify.logs import fields
from tagify.metrics import Gauge
from tagify.model import Library, LibraryId, LibraryState

logger = logging.getLogger(__name__)

POLL_S = 1.0
"""Time between two looks at the list of libraries, in seconds."""

NEVER = -1
"""A token that no lease has."""

RESTART_S = 5.0
"""A keeper that failed is started again after this time, in seconds."""


class LibrarySupervisor:
    """Starts and ends keepers as the catalog's libraries tell. `only`: the one library to keep, of all."""

    def __init__(
        self,
        catalog: Catalog,
        make: Callable[[Library], LibraryWorker],
        dismantler: Dismantler,
        suspended: Gauge,
    ) -> None:
        self._catalog = catalog
        self._make = make
        self._dismantler = dismantler
        self._suspended = suspended
        self._libraries: dict[LibraryId, Library] = {}
        self._keepers: dict[LibraryId, tuple[LibraryWorker, asyncio.Task[None]]] = {}
        self._removals: dict[LibraryId, asyncio.Task[None]] = {}
        self.only: LibraryId | None = None
        self._owner = owner_name()
        self._tokens: dict[LibraryId, int] = {}

    def library(self, library_id: LibraryId) -> Library | None:
        """A library as the catalog had it last, or None where there is no such library."""
        return self._libraries.get(library_id)

    def fences(self, library_ids: Iterable[LibraryId]) -> dict[LibraryId, int]:
        """The tokens of the leases on these libraries; one that is not held has a token that never was."""
        return {library_id: self._tokens.get(library_id, NEVER) for library_id in library_ids}

    async def run(self) -> None:
        """Until cancelled."""
        await retry_while_unavailable("catalog", self._catalog.ensure_indexes)
        try:
            while True:
                await self._heed(await retry_while_unavailable("catalog", self._catalog.libraries.list_all))
                await asyncio.sleep(POLL_S)
        finally:
            await asyncio.gather(*[self._end(library_id) for library_id in tuple(self._keepers)])
            await cancel_and_wait(*self._removals.values())

    async def _heed(self, found: Sequence[Library]) -> None:
        libraries = [library for library in found if self.only in (None, library.id)]
        self._libraries = {library.id: library for library in libraries}
        self._suspended.set(sum(library.state is LibraryState.SUSPENDED for library in libraries))
        kept = {library.id for library in libraries if library.state is not LibraryState.REMOVING}
        for library_id in self._keepers.keys() - kept:
            await self._end(library_id)
        for library in libraries:
            if library.state is LibraryState.REMOVING:
                self._remove(library)
            elif library.id in self._keepers:
                self._keepers[library.id][0].update(library)
            else:
                self._begin(library)

    def _begin(self, library: Library) -> None:
        keeper = self._make(library)
        task = asyncio.create_task(self._keep(keeper, library), name=f"keeper of {library.name}")
        self._keepers[library.id] = keeper, task

    async def _keep(self, keeper: LibraryWorker, library: Library) -> None:
        while True:
            try:
                await self._keep_once(keeper, library)
            except Exception:
                logger.exception(
                    "a library's keeper failed; starting it again", extra=fields(library=library.name)
                )
                await asyncio.sleep(RESTART_S)

    async def _keep_once(self, keeper: LibraryWorker, library: Library) -> None:
        """Keep it for as long as its lease is ours."""

        async def work(token: int) -> None:
            self._tokens[library.id] = token
            try:
                await keeper.run()
            finally:
                self._tokens.pop(library.id, None)

        await self._under_lease(library, work)

    async def _under_lease(self, library: Library, work: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        """Work with the token of the library's lease, until that is done or the lease is another's."""
        tasks: list[asyncio.Task[None]] = []
        try:
            token = await acquire(self._catalog, library, self._owner)
            tasks = [
                asyncio.create_task(work(token)),
                asyncio.create_task(renew_until_lost(self._catalog, library, token)),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await run_to_completion(self._let_go(library, tasks))
        if not tasks[0].cancelled():
            tasks[0].result()

    async def _let_go(self, library: Library, tasks: Sequence[asyncio.Task[None]]) -> None:
        await cancel_and_wait(*tasks)
        await release(self._catalog, library, self._owner)

    async def _end(self, library_id: LibraryId) -> None:
        _, task = self._keepers.pop(library_id)
        await cancel_and_wait(task)

    def _remove(self, library: Library) -> None:
        """See to it that the library's removal is under way; the files stay where they are."""
        task = self._removals.get(library.id)
        if task is None or task.done():
            task = asyncio.create_task(self._dismantle(library), name=f"removal of {library.name}")
            self._removals[library.id] = task

    async def _dismantle(self, library: Library) -> None:
        """Not by a token of `fences`: what of it is still on its way into the catalog is not let in."""
        try:
            await self._under_lease(library, lambda token: self._dismantler.run(library, token))
        except LeaseLost as lost:
            logger.warning("a removal goes on elsewhere: %s", lost)
        except Exception:
            logger.exception("a removal failed; going on with it", extra=fields(library=library.name))
            await asyncio.sleep(RESTART_S)
