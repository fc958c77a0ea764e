"""Keeps the catalog equal to one library: follows its events and scans it in full on schedule."""

import asyncio
from contextlib import suppress

from ingest.library_state import LibraryRecord
from ingest.library_threads import NotAnswering
from ingest.sync.change_applier import ChangeApplier
from ingest.sync.event_follower import EventFollower
from ingest.sync.pending_moves import LibraryMoves
from ingest.sync.root_watch import RootWatch
from ingest.sync.scanner import LibraryScanner
from tagify.concurrency.retry import retry_while_unavailable
from tagify.concurrency.tasks import run_to_completion, run_until_first_ends

RESTART_S = 0.5
"""Time from the end of all tasks to their start, in seconds."""


class LibraryWorker:
    """The tasks of one library. `run` may be called again after it has ended."""

    def __init__(
        self,
        record: LibraryRecord,
        *,
        root_watch: RootWatch,
        scanner: LibraryScanner,
        follower: EventFollower,
        applier: ChangeApplier,
        moves: LibraryMoves,
    ) -> None:
        self._record = record
        self._root_watch = root_watch
        self._scanner = scanner
        self._follower = follower
        self._applier = applier
        self._moves = moves

    async def run(self) -> None:
        """Watch, scan and follow events until cancelled. Begins with a full scan.

        When the file system does not answer all tasks end, and they begin again: the root check suspends the
        library until it answers.
        """
        await retry_while_unavailable("catalog", self._record.status.fence_older_leases)
        while True:
            self._moves.start()
            self._record.scan_requests.request()
            with suppress(NotAnswering):
                await self._run_tasks()
            await asyncio.sleep(RESTART_S)

    async def _run_tasks(self) -> None:
        try:
            await self._root_watch.check()
            await run_until_first_ends(
                self._root_watch.run(),
                self._scanner.run(),
                self._follower.run(),
                self._scanner.poll(),
                self._applier.run(),
            )
        finally:
            self._moves.stop()
            await run_to_completion(self._root_watch.close())
