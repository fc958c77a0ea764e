"""How much may be removed at once without anybody's word: a mistake or a fault takes more than people do."""

import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tagify.catalog import LibraryStatusWriter
from tagify.concurrency.retry import retry_while_unavailable
from tagify.logs import fields
from tagify.model import Library

logger = logging.getLogger(__name__)

FEW = 50
"""So many images may always go at once."""

SHARE = 0.1
"""Of a larger library, this share may."""

WINDOW_S = 60.0
"""Removals within this time count as one, in seconds."""


class Removals:
    """One library's removals. What is more than the usual waits for approval, or for a time."""

    def __init__(
        self,
        keeping: LibraryStatusWriter,
        library: Callable[[], Library],
        *,
        wait_s: float,
        clock: Callable[[], float],
    ) -> None:
        """`wait_s`: what waits goes ahead by itself after this many seconds; 0 for never."""
        self._keeping = keeping
        self._library = library
        self._wait = timedelta(seconds=wait_s)
        self._clock = clock
        self._recent: deque[tuple[float, int]] = deque()
        self._used = self._library().approvals_used
        self._told = False
        """Whether this one has told that images wait: the library as it is known here may be older."""

    @property
    def approved(self) -> bool:
        """Whether there is an approval that has not been used."""
        return self._library().approvals > self._used

    async def may_go(self, number: int, *, tell: bool = True) -> bool:
        """Whether so many images may go now; otherwise they are told as waiting, where `tell` says so."""
        library = self._library()
        now = self._clock()
        while self._recent and self._recent[0][0] < now - WINDOW_S:
            self._recent.popleft()
        recent = sum(count for _, count in self._recent)
        usual = max(FEW, SHARE * (library.indexed_count + recent))
        if number + recent <= usual or self.approved or self._has_waited(library):
            self._recent.append((now, number))
            return True
        if tell:
            await self._wait_for_approval(library, number)
        return False

    async def settled(self) -> None:
        """All that could go has gone: nothing waits any more, and an approval has been used."""
        library = self._library()
        if library.pending_deletions or self._told or self.approved:
            self._told = False
            self._used = library.approvals
            await retry_while_unavailable(
                "catalog", lambda: self._keeping.clear_pending_deletions(self._used)
            )

    def _has_waited(self, library: Library) -> bool:
        since = library.pending_since
        return bool(self._wait) and since is not None and datetime.now(UTC) - since >= self._wait

    async def _wait_for_approval(self, library: Library, number: int) -> None:
        if library.pending_deletions != number:
            logger.warning(
                "more files have gone than usual; their images wait for: tagify libraries approve %s",
                library.name,
                extra=fields(library=library.name, path=library.path, files=number),
            )
        self._told = True
        await retry_while_unavailable("catalog", lambda: self._keeping.set_pending_deletions(number))
