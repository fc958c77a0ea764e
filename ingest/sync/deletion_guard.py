"""Mass-deletion guard: how many images may be deleted within a minute without approval.

A mistake or a fault deletes more than people usually do. Only images that are still missing count: a move
may be seen as a deletion first and as a new file later.
"""

import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest.library_state import LibraryRecord
from tagify.concurrency.retry import retry_while_unavailable
from tagify.logs import fields
from tagify.model import Approval, ImageId, Library, PendingApproval, RootProbe

logger = logging.getLogger(__name__)

ALWAYS_ALLOWED = 50
"""This many images may always be deleted."""

ALLOWED_SHARE = 0.1
"""Share of a larger library that may be deleted."""

WINDOW_S = 60.0
"""Deletions within this time are added up, in seconds."""

StillMissing = Callable[[Sequence[ImageId]], Awaitable[set[ImageId]]]
"""Returns those of some images that are still missing."""


@dataclass(slots=True)
class _Deletion:
    """Images that were deleted at one time. `others`: further ones, whose ids are not known."""

    at: float
    images: set[ImageId]
    others: int

    @property
    def count(self) -> int:
        return len(self.images) + self.others


class DeletionGuard:
    """Guards one library. Deletions over the limit wait for approval, or for `wait_s`."""

    def __init__(
        self,
        record: LibraryRecord,
        *,
        still_missing: StillMissing,
        wait_s: float,
        clock: Callable[[], float],
    ) -> None:
        """`wait_s`: deletions proceed without approval after this many seconds; 0 for never."""
        self._record = record
        self._still_missing = still_missing
        self._wait = timedelta(seconds=wait_s)
        self._clock = clock
        self._recent: deque[_Deletion] = deque()
        self._spent_approval = ""
        """Id of the last approval that was used or revoked: the record may still show it."""
        self._deleted_by_approval = 0
        self._reported = 0
        """Deletions that wait, as last reported: the record may not show them yet."""
        self.refused = 0
        """The number of images whose deletion was last refused to a scan."""
        self.window_left_s: float | None = None
        """Seconds until a refused deletion is allowed, if only other recent deletions prevent it."""

    def is_root_approved(self, root: RootProbe | None) -> bool:
        """Whether an approval holds for this root.

        A used approval holds until the record shows that it is used, and with that the images left.
        """
        approval = self._record.library.approval
        return approval is not None and root is not None and approval.granted.root.same_folder_as(root)

    async def revoke_approval_unless_of(self, root: RootProbe | None) -> None:
        """Delete an approval that was given for another root than this."""
        if (approval := self._unspent_approval()) and not self.is_root_approved(root):
            await self._spend(approval)

    async def may_delete(
        self, images: Sequence[ImageId], total: int, root: RootProbe, *, report: bool = True
    ) -> bool:
        """Whether `total` images may be deleted now. If not, `report` writes the number to the catalog.

        `images`: all of them, or the first of many.
        """
        library = self._record.library
        if self._is_approved(total, root) or self._has_waited(library, total):
            return True
        if await self._fits_limit(library, total):
            self._recent.append(_Deletion(self._clock(), set(images), total - len(images)))
            return True
        if report:
            await self._wait_for_approval(library, PendingApproval(root, total))
        return False

    async def clear_pending(self) -> None:
        """After the deletions of a scan: clear the number that waits, and mark the approval as used."""
        if self._record.library.pending_deletions or self._reported:
            self._reported = 0
            await retry_while_unavailable("catalog", self._record.status.clear_pending_deletions)
        if approval := self._unspent_approval():
            await self._spend(approval)

    def _unspent_approval(self) -> Approval | None:
        approval = self._record.library.approval
        return approval if approval and approval.id != self._spent_approval else None

    def _is_approved(self, count: int, root: RootProbe) -> bool:
        """Whether an approval covers these deletions; if so, they are added to those it has covered."""
        approval = self._unspent_approval()
        if approval is None or not self.is_root_approved(root):
            return False
        if self._deleted_by_approval + count > approval.granted.images:
            return False
        self._deleted_by_approval += count
        return True

    async def _spend(self, approval: Approval) -> None:
        self._spent_approval = approval.id
        self._deleted_by_approval = 0
        await retry_while_unavailable("catalog", lambda: self._record.status.clear_approval(approval.id))

    async def _fits_limit(self, library: Library, count: int) -> bool:
        """Whether the limit allows this many images, with those of the window that have not come back."""
        self._drop_old_deletions()
        if self._excess(library, count) > 0 and self._recent:
            await self._forget_returned_images()
        excess = self._excess(library, count)
        self.window_left_s = None
        if excess > 0 and self._recent and count <= ALWAYS_ALLOWED:
            self.window_left_s = max(1.0, self._recent[-1].at + WINDOW_S - self._clock())
        return excess <= 0

    def _excess(self, library: Library, count: int) -> float:
        recent = sum(deletion.count for deletion in self._recent)
        return count + recent - max(ALWAYS_ALLOWED, ALLOWED_SHARE * (library.indexed_count + recent))

    def _drop_old_deletions(self) -> None:
        while self._recent and self._recent[0].at < self._clock() - WINDOW_S:
            self._recent.popleft()

    async def _forget_returned_images(self) -> None:
        images = list(itertools.chain.from_iterable(deletion.images for deletion in self._recent))
        missing = await self._still_missing(images)
        for deletion in self._recent:
            deletion.images &= missing

    def _has_waited(self, library: Library, count: int) -> bool:
        """Whether these deletions, no more than were reported then, have waited long enough."""
        since = library.pending_since
        is_same = count <= library.pending_deletions
        return bool(self._wait) and is_same and since is not None and datetime.now(UTC) - since >= self._wait

    async def _wait_for_approval(self, library: Library, pending: PendingApproval) -> None:
        if pending.images not in (self._reported, library.pending_deletions):
            logger.warning(
                "mass deletion held until approved: tagify libraries approve %s",
                library.name,
                extra=fields(library=library.name, path=library.path, files=pending.images),
            )
        self._reported = self.refused = pending.images
        status = self._record.status
        await retry_while_unavailable("catalog", lambda: status.set_pending_deletions(pending))
        if approval := self._unspent_approval():
            await self._spend(approval)
