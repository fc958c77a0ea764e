"""Keeps the catalog equal to one library: follows its events and scans it in full on schedule."""

from ingest.library_state import LibraryRecord
from ingest.sync.change_applier import ChangeApplier
from ingest.sync.event_follower import EventFollower
from ingest.sync.root_watch import RootWatch
from ingest.sync.scanner import LibraryScanner
from tagify.concurrency.retry import retry_while_unavailable
from tagify.concurrency.tasks import run_to_completion, run_until_first_ends


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
    ) -> None:
        self._record = record
        self._root_watch = root_watch
        self._scanner = scanner
        self._follower = follower
        self._applier = applier

    async def run(self) -> None:
        """Watch, scan and follow events until cancelled. Begins with a full scan."""
        self._record.scan_requests.request()
        await retry_while_unavailable("catalog", self._record.status.fence_older_leases)
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
            await run_to_completion(self._root_watch.close())
