"""What the daemon that keeps a library tells of it: its root, its scans, the removals that wait.

A library's document names the highest token of a lease under which it was ever kept. What was told
under an older one is not written: its daemon may have been stopped meanwhile, and not know it yet.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tagify.catalog.database import Database
from tagify.catalog.errors import maps_driver_errors
from tagify.catalog.mapping import identity_fields, object_id
from tagify.model import LibraryId, LibraryState, RootIdentity


class LibraryStatusWriter:
    """One library, as long as a lease on it lasts. Every method raises Unavailable."""

    def __init__(self, database: Database, library_id: LibraryId, token: Callable[[], int]) -> None:
        """`token` is that of the lease that is held now."""
        self._database = database
        self._id = object_id(library_id)
        self._token = token

    @maps_driver_errors
    async def fence_older_leases(self) -> None:
        """From now on nothing is written that is told under an older lease."""
        await self._database.libraries.update_one({"_id": self._id}, {"$max": {"keeper": self._token()}})

    async def set_state(self, state: LibraryState, error: str = "") -> None:
        """The state that the root is in, and why. A library being removed stays so."""
        stays = {"state": {"$ne": LibraryState.REMOVING.value}}
        await self._set({"state": state.value, "scan_error": error}, stays)

    async def set_identity(self, identity: RootIdentity) -> None:
        """What its root is known by from now on."""
        await self._set({"identity": identity_fields(identity)})

    async def set_pending_deletions(self, number: int) -> None:
        """So many images wait for an approval before they are removed."""
        await self._set({"removal_waiting": number})
        await self._set({"removal_since": datetime.now(UTC)}, {"removal_since": None})

    async def clear_pending_deletions(self, approvals_used: int) -> None:
        """Nothing waits for an approval any more, and so many have been used."""
        await self._set({"removal_waiting": 0, "removal_since": None, "approvals_used": approvals_used})

    async def begin_scan(self) -> None:
        """A comparison of folder and catalog begins."""
        await self._set({"scanning": True, "scan_total": 0, "scan_done": 0})

    async def report_scan_progress(self, total: int, done: int) -> None:
        """Files to be read and files read so far in this scan."""
        await self._set({"scan_total": total, "scan_done": done})

    async def end_scan(self, error: str = "") -> None:
        """The comparison is over; `error` says why it could not be finished."""
        fields: dict[str, Any] = {"scanning": False, "scan_error": error}
        if not error:
            fields["last_scanned"] = datetime.now(UTC)
        await self._set(fields)

    @maps_driver_errors
    async def _set(self, fields: dict[str, Any], where: dict[str, Any] | None = None) -> None:
        query = {"_id": self._id, "keeper": self._token(), **(where or {})}
        await self._database.libraries.update_one(query, {"$set": fields})
