"""Mass-deletion guard: how many images may be deleted within a minute without approval.

A mistake or a fault deletes more than people usually do.
"""

import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ingest.library_state import LibraryRecord
from tagify.concurrency.retry import retry_while_unavailable
from tagify.logs import fields
from tagify.model import Library

logger = logging.getLogger(__name__)

ALWAYS_ALLOWED = 50
"""This many images may always be deleted."""

ALLOWED_SHARE = 0.1
"""Share of a larger library that may be deleted."""

WINDOW_S = 60.0
"""Deletions within this time are added up, in seconds."""


class DeletionGuard:
    """Guards one library. Deletions over the limit wait for approval, or for `wait_s`."""

    def __init__(self, record: LibraryRecord, *, wait_s: float, clock: Callable[[], float]) -> None:
        """`wait_s`: deletions proceed without approval after this many seconds; 0 for never."""
        self._record = record
        self._wait = timedelta(seconds=wait_s)
        self._clock = clock
        self._recent: deque[tuple[float, int]] = deque()
        self._approvals_used = record.library.approvals_used
        self._reported = False
        """Whether we have reported deletions that wait: the record may not show them yet."""

    @property
    def is_approved(self) -> bool:
        """Whether there is an approval that has not been used."""
        return self._record.library.approvals > self._approvals_used

    async def may_delete(self, count: int, *, report: bool = True) -> bool:
        """Whether this many images may be deleted now. If not, `report` writes the number to the catalog."""
        library = self._record.library
        now = self._clock()
        while self._recent and self._recent[0][0] < now - WINDOW_S:
            self._recent.popleft()
        recent = sum(deleted for _, deleted in self._recent)
        limit = max(ALWAYS_ALLOWED, ALLOWED_SHARE * (library.indexed_count + recent))
        if count + recent <= limit or self.is_approved or self._has_waited(library):
            self._recent.append((now, count))
            return True
        if report:
            await self._wait_for_approval(library, count)
        return False

    async def clear_pending(self) -> None:
        """After the deletions of a scan: clear the number that waits, and mark the approval as used."""
        library = self._record.library
        if library.pending_deletions or self._reported or self.is_approved:
            self._reported = False
            self._approvals_used = library.approvals
            await retry_while_unavailable(
                "catalog", lambda: self._record.status.clear_pending_deletions(self._approvals_used)
            )

    def _has_waited(self, library: Library) -> bool:
        since = library.pending_since
        return bool(self._wait) and since is not None and datetime.now(UTC) - since >= self._wait

    async def _wait_for_approval(self, library: Library, count: int) -> None:
        if library.pending_deletions != count:
            logger.warning(
                "mass deletion held until approved: tagify libraries approve %s",
                library.name,
                extra=fields(library=library.name, path=library.path, files=count),
            )
        self._reported = True
        await retry_while_unavailable("catalog", lambda: self._record.status.set_pending_deletions(count))
