"""The state of each library in this process. One owner: everything else reads it here.

A record changes in two ways only: `refresh`, by the supervisor's poll of the catalog, and the `save_*`
methods, which write to the catalog under the library's lease and then apply the same change here.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from ingest.lease import HeldLeases
from tagify.catalog import Catalog, LibraryStatusWriter
from tagify.concurrency.retry import retry_while_unavailable
from tagify.model import Library, LibraryId, LibraryState, PendingApproval, RootIdentity


class ScanRequests:
    """Requests for a full scan of one library. One scan serves all requests made before it starts."""

    def __init__(self) -> None:
        self._requested = asyncio.Event()

    def request(self) -> None:
        """Request a full scan."""
        self._requested.set()

    async def wait(self, timeout_s: float) -> None:
        """Return on a request, or after the timeout; the request is cleared."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._requested.wait()
        self._requested.clear()


class LibraryRecord:
    """The current state of one library, and its requests for a scan. `status` writes under its lease."""

    def __init__(self, library: Library, status: LibraryStatusWriter) -> None:
        self.status = status
        self.scan_requests = ScanRequests()
        self._library = library
        self._answered_rescan = library.rescan_requested

    @property
    def library(self) -> Library:
        """The library as of the last poll, with our own writes since."""
        return self._library

    @property
    def id(self) -> LibraryId:
        """The library's id."""
        return self._library.id

    @property
    def root(self) -> str:
        """The library's absolute path; a library that is moved to another path gets a new record."""
        return self._library.path

    @property
    def is_suspended(self) -> bool:
        """Whether the library is suspended because of its root."""
        return self._library.state is LibraryState.SUSPENDED

    def refresh(self, library: Library) -> None:
        """Store the library as polled from the catalog.

        A new rescan request, or the end of a suspension, requests a scan.
        """
        resumed = self.is_suspended and library.state is LibraryState.ACTIVE
        self._library = library
        if library.rescan_requested != self._answered_rescan or resumed:
            self._answered_rescan = library.rescan_requested
            self.scan_requests.request()

    async def save_state(self, state: LibraryState, reason: str, pending: PendingApproval | None) -> None:
        """Write the state of the root, with the reason of a suspension and what can be approved."""
        await retry_while_unavailable("catalog", lambda: self.status.set_state(state, reason, pending))
        self._library = replace(self._library, state=state, scan_error=reason, pending_approval=pending)

    async def save_identity(self, identity: RootIdentity) -> None:
        """Write the identity that the root is compared with from now on."""
        await retry_while_unavailable("catalog", lambda: self.status.set_identity(identity))
        self._library = replace(self._library, identity=identity)


class LibraryRegistry:
    """The records of all libraries of this process, by id. `get` may be called from any thread."""

    def __init__(self, catalog: Catalog, leases: HeldLeases) -> None:
        self._catalog = catalog
        self._leases = leases
        self._records: dict[LibraryId, LibraryRecord] = {}

    def refresh(self, libraries: Iterable[Library]) -> None:
        """Store the polled libraries: new ones get a record, deleted ones lose theirs."""
        self._records = {library.id: self._refreshed(library) for library in libraries}

    def record(self, library_id: LibraryId) -> LibraryRecord:
        """The record of a library. Raises KeyError."""
        return self._records[library_id]

    def get(self, library_id: LibraryId) -> Library | None:
        """The current state of a library; None where there is no such library."""
        record = self._records.get(library_id)
        return record.library if record else None

    def _refreshed(self, library: Library) -> LibraryRecord:
        record = self._records.get(library.id)
        if record is None or record.root != library.path:
            token = partial(self._leases.token, library.id)
            return LibraryRecord(library, self._catalog.library_status(library.id, token))
        record.refresh(library)
        return record
