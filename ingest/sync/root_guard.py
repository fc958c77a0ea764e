"""Protects a library's images from a wrong root: suspends the library while its root is not intact."""

import logging
from collections.abc import Sequence

from ingest.library_state import LibraryRecord
from ingest.library_threads import LibraryThreads, NotAnswering
from ingest.sync.deletion_guard import DeletionGuard
from ingest.sync.root_identity import probe, suspension_reason, write_marker
from tagify.concurrency.retry import retry_while_unavailable
from tagify.model import ImageId, LibraryState, PendingApproval, RootIdentity, RootProbe

logger = logging.getLogger(__name__)


class RootGuard:
    """Checks the root of one library before anything is deleted. `deletions` bounds their number."""

    def __init__(self, record: LibraryRecord, deletions: DeletionGuard, threads: LibraryThreads) -> None:
        self.deletions = deletions
        self._record = record
        self._threads = threads
        self._logged_state = record.library.state

    async def root_identity(self) -> RootIdentity | None:
        """The identity of the root now; None where there is no folder. Raises NotAnswering."""
        root = await self._probe()
        return root.identity if root else None

    async def check_root(self) -> bool:
        """Probe the root; whether it is intact. A change is written to the catalog and the log."""
        return await self._check_root() is not None

    async def may_delete(self, images: Sequence[ImageId], total: int, *, report: bool = True) -> bool:
        """Whether this many images may be deleted: the root is intact, and the mass-deletion guard agrees.

        `images`: all of them, or the first of many. `report`: if not, write the number that waits for
        approval to the catalog. False for events: they may report the deletion of a move before its new
        path, so the next scan decides.
        """
        root = await self._check_root()
        return root is not None and await self.deletions.may_delete(images, total, root, report=report)

    async def _check_root(self) -> RootProbe | None:
        """The root if it is intact, else None."""
        try:
            root = await self._probe_and_adopt()
        except NotAnswering as error:
            await self._save_if_changed(str(error), None)
            return None
        library = self._record.library
        indexed = 0 if self.deletions.is_root_approved(root) else library.indexed_count
        reason = suspension_reason(library.path, library.id, root, library.identity, indexed)
        await self._save_if_changed(reason, root)
        return None if reason else root

    async def _save_if_changed(self, reason: str | None, root: RootProbe | None) -> None:
        is_removing = self._record.library.state is LibraryState.REMOVING
        if not is_removing and not self._is_saved(reason, root):
            await self._save_state(reason, root)

    def _is_saved(self, reason: str | None, root: RootProbe | None) -> bool:
        """Whether the catalog has this state of the root."""
        library = self._record.library
        if reason is None:
            return library.state is LibraryState.ACTIVE
        pending = library.pending_approval
        is_same_root = (pending.root if pending else None) == root
        return library.state is LibraryState.SUSPENDED and library.scan_error == reason and is_same_root

    def _must_adopt(self, root: RootProbe) -> bool:
        """Whether the root becomes the reference: the library is new, or its owner has approved the root."""
        library = self._record.library
        is_new = library.identity is None and not (root.is_empty and library.indexed_count)
        return is_new or (self.deletions.is_root_approved(root) and library.identity != root.identity)

    async def _probe_and_adopt(self) -> RootProbe | None:
        root = await self._probe()
        await self.deletions.revoke_approval_unless_of(root)
        return await self._adopt_root() if root is not None and self._must_adopt(root) else root

    async def _adopt_root(self) -> RootProbe | None:
        library = self._record.library
        await self._threads.probe(write_marker, library.path, library.id)
        root = await self._probe()
        if root is not None:
            await self._record.save_identity(root.identity)
        return root

    async def _probe(self) -> RootProbe | None:
        return await self._threads.probe(probe, self._record.root, self._record.id)

    async def _save_state(self, reason: str | None, root: RootProbe | None) -> None:
        """Write the state; if the library is suspended, with the root that could be approved, if any."""
        state = LibraryState.SUSPENDED if reason else LibraryState.ACTIVE
        pending = None
        if reason and root is not None:
            status = self._record.status
            images = await retry_while_unavailable("catalog", status.count_present_images)
            pending = PendingApproval(root, images)
        # Logged once, though the reason may change while the root is away, or be overwritten by a scan.
        if state is not self._logged_state:
            self._logged_state = state
            if reason:
                logger.warning("library suspended: %s", reason)
            else:
                logger.info("library resumed: %s", self._record.root)
        await self._record.save_state(state, reason or "", pending)
