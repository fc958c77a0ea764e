"""Guards a library's images against its root: suspends the library while the root is not what it was."""

import logging
from collections.abc import Callable
from dataclasses import replace

from ingest.sync.deletion_guard import Removals
from ingest.sync.root_identity import RootProbe, mark, probe, suspension_reason
from tagify.catalog import LibraryStatusWriter
from tagify.concurrency.retry import retry_while_unavailable
from tagify.concurrency.thread_pool import Threads
from tagify.model import Library, LibraryState, RootIdentity

logger = logging.getLogger(__name__)


class Guard:
    """One library's root and its removals."""

    def __init__(
        self,
        library: Library,
        keeping: LibraryStatusWriter,
        threads: Threads,
        removals: Callable[["Guard"], Removals],
    ) -> None:
        self.library = library
        self._keeping = keeping
        self._threads = threads
        self.removals = removals(self)
        self._logged = library.state

    async def look(self) -> RootIdentity | None:
        """What the root is now; None where no folder is."""
        sight = await self._sight()
        return sight.identity if sight else None

    async def is_well(self) -> bool:
        """Whether the root is what it was; a change of that is told to the catalog and the log."""
        sight = await self._sight()
        if sight is not None and self._is_to_be_known(sight):
            sight = await self._get_to_know()
        library = self.library
        indexed = 0 if self.removals.approved else library.indexed_count
        reason = suspension_reason(library.path, library.id, sight, library.identity, indexed)
        state = LibraryState.SUSPENDED if reason else LibraryState.ACTIVE
        is_told = library.state is state and (reason is None or library.scan_error == reason)
        if not is_told and library.state is not LibraryState.REMOVING:
            await self._tell(state, reason or "")
        return reason is None

    async def may_remove(self, number: int, *, tell: bool = True) -> bool:
        """Whether so many images may be removed on the word of the root as it is now.

        `tell`: that they wait, where they may not. Events may tell of what has gone before they tell
        where to, so it is left to the scan that follows them.
        """
        return await self.is_well() and await self.removals.may_go(number, tell=tell)

    def _is_to_be_known(self, sight: RootProbe) -> bool:
        """A root is taken for right when its library is new, and when somebody has approved of it."""
        library = self.library
        is_new = library.identity is None and not (sight.is_empty and library.indexed_count)
        return is_new or (self.removals.approved and library.identity != sight.identity)

    async def _get_to_know(self) -> RootProbe | None:
        library = self.library
        await self._threads.run(mark, library.path, library.id)
        sight = await self._sight()
        if sight is not None:
            identity = sight.identity
            await retry_while_unavailable("catalog", lambda: self._keeping.set_identity(identity))
            self.library = replace(self.library, identity=identity)
        return sight

    async def _sight(self) -> RootProbe | None:
        return await self._threads.run(probe, self.library.path, self.library.id)

    async def _tell(self, state: LibraryState, reason: str) -> None:
        library = self.library
        # Logged once, though the reason may change while the root is away, or be written over by a scan.
        if state is not self._logged:
            self._logged = state
            if reason:
                logger.warning("library suspended: %s", reason)
            else:
                logger.info("library is back: %s", library.path)
        await retry_while_unavailable("catalog", lambda: self._keeping.set_state(state, reason))
        self.library = replace(self.library, state=state, scan_error=reason)
