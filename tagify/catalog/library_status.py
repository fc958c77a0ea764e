"""Status fields of a library, written by the daemon that holds its lease: root, scans, pending deletions.

The library's document stores the highest fencing token so far. Writes with an older token are ignored:
their daemon may have been paused, and not have noticed yet that it lost the lease.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pymongo

from tagify.catalog.database import Database
from tagify.catalog.errors import maps_driver_errors
from tagify.catalog.mapping import PRESENT, identity_fields, object_id, pending_approval_fields
from tagify.model import LibraryId, LibraryState, PendingApproval, RootIdentity

COUNT_TIMEOUT_S = 60.0
"""Deadline of counting a library's images, in seconds."""


class LibraryStatusWriter:
    """Writes the status of one library under a lease. Every method raises Unavailable."""

    def __init__(self, database: Database, library_id: LibraryId, token: Callable[[], int]) -> None:
        """`token` returns the fencing token of the lease that is held now."""
        self._database = database
        self._id = object_id(library_id)
        self._token = token

    @maps_driver_errors
    async def fence_older_leases(self) -> None:
        """Store the fencing token; from now on writes with older tokens are ignored."""
        await self._database.libraries.update_one({"_id": self._id}, {"$max": {"keeper": self._token()}})

    async def set_state(
        self, state: LibraryState, error: str = "", pending: PendingApproval | None = None
    ) -> None:
        """Set the state and its reason, unless the library is being removed.

        `pending`: what can be approved in this state.
        """
        not_removing = {"state": {"$ne": LibraryState.REMOVING.value}}
        fields = {"state": state.value, "scan_error": error, "approvable": pending_approval_fields(pending)}
        await self._set(fields, not_removing)

    async def set_identity(self, identity: RootIdentity) -> None:
        """Set the identity of the root folder."""
        await self._set({"identity": identity_fields(identity)})

    async def set_pending_deletions(self, pending: PendingApproval) -> None:
        """Set the images whose deletion waits for approval, and since when. More images start it again."""
        grown = {"$or": [{"removal_since": None}, {"removal_waiting": {"$lt": pending.images}}]}
        await self._set({"removal_since": datetime.now(UTC)}, grown)
        await self._set(
            {"removal_waiting": pending.images, "approvable": pending_approval_fields(pending)},
            {"state": LibraryState.ACTIVE.value},
        )

    async def clear_pending_deletions(self) -> None:
        """No deletion waits any more."""
        await self._set({"removal_waiting": 0, "removal_since": None})
        await self._set({"approvable": None}, {"state": LibraryState.ACTIVE.value})

    async def clear_approval(self, approval_id: str) -> None:
        """Delete an approval that was used, or that does not hold for the present state."""
        await self._set({"approval": None}, {"approval.id": approval_id})

    async def begin_scan(self) -> None:
        """A scan starts; resets its progress."""
        await self._set({"scanning": True, "scan_total": 0, "scan_done": 0})

    async def set_skipped(self, skipped: Iterable[tuple[str, int]]) -> None:
        """Set the suffixes of the files that the scan skips, and their numbers."""
        await self._set({"skipped": [{"suffix": suffix, "count": count} for suffix, count in skipped]})

    async def report_scan_progress(self, total: int, done: int) -> None:
        """Set the number of files to read and files read so far."""
        await self._set({"scan_total": total, "scan_done": done})

    async def end_scan(self, error: str = "") -> None:
        """The scan has ended; `error` is the reason if it failed."""
        fields: dict[str, Any] = {"scanning": False, "scan_error": error}
        if not error:
            fields["last_scanned"] = datetime.now(UTC)
        await self._set(fields)

    @maps_driver_errors
    async def count_present_images(self) -> int:
        """The number of images that an absent root would take: those that are not missing."""
        with pymongo.timeout(COUNT_TIMEOUT_S):
            return await self._database.images.count_documents({"library_id": self._id, **PRESENT})

    @maps_driver_errors
    async def _set(self, fields: dict[str, Any], where: dict[str, Any] | None = None) -> None:
        query = {"_id": self._id, "keeper": self._token(), **(where or {})}
        await self._database.libraries.update_one(query, {"$set": fields})
