"""One keeper for each library of the catalog; libraries come and go while it runs."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from ingest.keeper import Keeper
from ingest.lease import give_back, keep, owner_name, take
from ingest.patience import patiently
from tagify.catalog import Catalog
from tagify.logs import fields
from tagify.metrics import Gauge
from tagify.model import Library, LibraryId, LibraryState
from tagify.tasks import carried_through, end

logger = logging.getLogger(__name__)

POLL_S = 1.0
"""Time between two looks at the list of libraries, in seconds."""

NEVER = -1
"""A token that no lease has."""

RESTART_S = 5.0
"""A keeper that failed is started again after this time, in seconds."""


class Daemon:
    """Starts and ends keepers as the catalog's libraries tell. `only`: the one library to keep, of all."""

    def __init__(self, catalog: Catalog, make: Callable[[Library], Keeper], suspended: Gauge) -> None:
        self._catalog = catalog
        self._make = make
        self._suspended = suspended
        self._libraries: dict[LibraryId, Library] = {}
        self._keepers: dict[LibraryId, tuple[Keeper, asyncio.Task[None]]] = {}
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
        await patiently("catalog", self._catalog.ensure_indexes)
        try:
            while True:
                await self._heed(await patiently("catalog", self._catalog.libraries.all))
                await asyncio.sleep(POLL_S)
        finally:
            await asyncio.gather(*[self._end(library_id) for library_id in tuple(self._keepers)])

    async def _heed(self, found: Sequence[Library]) -> None:
        libraries = [library for library in found if self.only in (None, library.id)]
        self._libraries = {library.id: library for library in libraries}
        self._suspended.set(sum(library.state is LibraryState.SUSPENDED for library in libraries))
        kept = {library.id for library in libraries if library.state is not LibraryState.REMOVING}
        for library_id in self._keepers.keys() - kept:
            await self._end(library_id)
        for library in libraries:
            if library.state is LibraryState.REMOVING:
                await self._remove(library)
            elif library.id in self._keepers:
                self._keepers[library.id][0].update(library)
            else:
                self._begin(library)

    def _begin(self, library: Library) -> None:
        keeper = self._make(library)
        task = asyncio.create_task(self._keep(keeper, library), name=f"keeper of {library.name}")
        self._keepers[library.id] = keeper, task

    async def _keep(self, keeper: Keeper, library: Library) -> None:
        while True:
            try:
                await self._keep_once(keeper, library)
            except Exception:
                logger.exception(
                    "a library's keeper failed; starting it again", extra=fields(library=library.name)
                )
                await asyncio.sleep(RESTART_S)

    async def _keep_once(self, keeper: Keeper, library: Library) -> None:
        """Keep it for as long as its lease is ours."""
        tasks: list[asyncio.Task[None]] = []
        try:
            token = await take(self._catalog, library, self._owner)
            self._tokens[library.id] = token
            tasks = [
                asyncio.create_task(keeper.run()),
                asyncio.create_task(keep(self._catalog, library, token)),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await carried_through(self._let_go(library, tasks))
        if not tasks[0].cancelled():
            tasks[0].result()

    async def _let_go(self, library: Library, tasks: Sequence[asyncio.Task[None]]) -> None:
        await end(*tasks)
        self._tokens.pop(library.id, None)
        await give_back(self._catalog, library, self._owner)

    async def _end(self, library_id: LibraryId) -> None:
        _, task = self._keepers.pop(library_id)
        await end(task)

    async def _remove(self, library: Library) -> None:
        """Take out the documents of a library; the files stay where they are."""
        while await patiently("catalog", lambda: self._catalog.libraries.remove_some(library.id)):
            pass
        logger.info("library removed", extra=fields(library=library.name, path=library.path))
