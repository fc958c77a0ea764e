"""Library documents: watched root folders, and requests to the ingest daemon (rescan, approval, removal)."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import pymongo
from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.database import Database
from tagify.catalog.errors import maps_driver_errors
from tagify.catalog.mapping import library_from_doc, object_id
from tagify.catalog.transactions import Transactions
from tagify.errors import ApprovalOutdated, Conflict, NothingToApprove
from tagify.model import Library, LibraryId, LibraryState

CREATE_TIMEOUT_S = 10.0
"""Deadline of adding a library in seconds, including retries after write conflicts."""

_ADDITIONS_LOCK = {"_id": "libraries"}
"""A document that every addition writes to: of two concurrent ones, one retries and sees the other."""


class LibraryRepository:
    """The library documents."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._libraries = database.libraries
        self._transactions = transactions

    @maps_driver_errors
    async def list_all(self) -> list[Library]:
        """Every library, oldest first. Raises Unavailable."""
        libraries = [library_from_doc(doc) async for doc in self._libraries.find().sort("_id", 1)]
        return await self._with_daemon_state(libraries)

    @maps_driver_errors
    async def get(self, library_id: LibraryId) -> Library | None:
        """The library, or None. Raises Unavailable."""
        doc = await self._libraries.find_one({"_id": object_id(library_id)})
        return (await self._with_daemon_state([library_from_doc(doc)]))[0] if doc else None

    @maps_driver_errors
    async def create(self, name: str, path: str) -> Library:
        """Insert a library at an absolute path.

        Raises Conflict if it overlaps another library (same folder, above or below), Unavailable.
        """
        doc: dict[str, Any] = {
            "_id": ObjectId(),
            "name": name,
            "path": path,
            "state": LibraryState.ACTIVE.value,
            "scanning": False,
            "scan_total": 0,
            "scan_done": 0,
            "indexed_count": 0,
            "failed_count": 0,
            "damaged_count": 0,
            "skipped": [],
            "last_scanned": None,
            "scan_error": "",
            "rescan_requested": 0,
            "created_at": datetime.now(UTC),
        }
        with pymongo.timeout(CREATE_TIMEOUT_S):
            await self._ensure_additions_lock()
            await self._transactions.run(lambda session: self._create(doc, session))
        return library_from_doc(doc)

    async def rename(self, library_id: LibraryId, name: str) -> Library | None:
        """Set the name; the updated library or None. Raises Unavailable."""
        return await self._set(library_id, {"name": name})

    @maps_driver_errors
    async def move(self, library_id: LibraryId, path: str) -> Library | None:
        """Set the absolute path of the root; images keep their ids and tags. Requests a rescan.

        None if the library does not exist. Raises Conflict as `create`, or if it is being removed;
        Unavailable.
        """
        with pymongo.timeout(CREATE_TIMEOUT_S):
            await self._ensure_additions_lock()
            moved = await self._transactions.run(lambda session: self._move(library_id, path, session))
        return await self.get(library_id) if moved else None

    async def begin_removal(self, library_id: LibraryId) -> Library | None:
        """Set the state to `removing`; ingest removes the library. None if it does not exist."""
        return await self._set(library_id, {"state": LibraryState.REMOVING.value})

    @maps_driver_errors
    async def approve(self, library_id: LibraryId, pending_id: str | None = None) -> Library | None:
        """Approve what is pending now, for that alone: deletions or another root. Requests a rescan.

        `pending_id`: the `PendingApproval.id` that was shown. None if the library does not exist. Raises
        NothingToApprove, ApprovalOutdated if something else is pending than was shown, Unavailable.
        """
        doc = await self._libraries.find_one({"_id": object_id(library_id)})
        if doc is None:
            return None
        library = library_from_doc(doc)
        pending = library.pending_approval
        if pending is None or library.state is LibraryState.REMOVING:
            raise NothingToApprove(_nothing_to_approve(library))
        if pending_id not in (None, pending.id):
            raise ApprovalOutdated(f"{library.name} has changed: read what is pending now, and approve that")
        approval = {"id": str(ObjectId()), **doc["approvable"]}
        unchanged = {"approvable": doc["approvable"], "state": doc["state"]}
        update = {"$set": {"approval": approval}, "$inc": {"rescan_requested": 1}}
        approved = await self._update(library_id, update, unchanged)
        if approved is None:
            raise ApprovalOutdated(f"{library.name} has just changed: read what is pending now")
        return approved

    @maps_driver_errors
    async def request_rescan(self, library_id: LibraryId) -> Library | None:
        """Request a scan by ingest. None if the library does not exist. Raises Unavailable."""
        return await self._update(library_id, {"$inc": {"rescan_requested": 1}})

    async def _ensure_additions_lock(self) -> None:
        """Outside the transaction, where two concurrent inserts raise an error instead of a conflict."""
        await self._database.locks.update_one(
            _ADDITIONS_LOCK, {"$setOnInsert": {"additions": 0}}, upsert=True
        )

    async def _create(self, doc: dict[str, Any], session: AsyncClientSession) -> None:
        await self._check_overlap(doc["_id"], doc["path"], session)
        await self._libraries.insert_one(doc, session=session)

    async def _move(self, library_id: LibraryId, path: str, session: AsyncClientSession) -> bool:
        library = object_id(library_id)
        await self._check_overlap(library, path, session)
        doc = await self._libraries.find_one({"_id": library}, {"state": 1}, session=session)
        if doc is None:
            return False
        if doc["state"] == LibraryState.REMOVING:
            raise Conflict("the library is being removed; add the folder as a new library")
        fields = {"path": path, "approvable": None, "approval": None}
        update = {"$set": fields, "$inc": {"rescan_requested": 1}}
        await self._libraries.update_one({"_id": library}, update, session=session)
        return True

    async def _check_overlap(self, library: ObjectId, folder: str, session: AsyncClientSession) -> None:
        """Raises Conflict if the folder overlaps the root of another library."""
        await self._database.locks.update_one(_ADDITIONS_LOCK, {"$inc": {"additions": 1}}, session=session)
        path = PurePosixPath(folder)
        async for other in self._libraries.find({"_id": {"$ne": library}}, {"path": 1}, session=session):
            if path.is_relative_to(other["path"]) or PurePosixPath(other["path"]).is_relative_to(path):
                raise Conflict(f"{path} overlaps the library at {other['path']}; choose a folder outside it")

    async def _with_daemon_state(self, libraries: list[Library]) -> list[Library]:
        """Set `daemon_active` of those being removed: whether a daemon holds their lease."""
        removing = [object_id(library.id) for library in libraries if library.removal]
        if not removing:
            return libraries
        query = {"_id": {"$in": removing}, "owner": {"$ne": ""}, "$expr": {"$gt": ["$until", "$$NOW"]}}
        leased = {str(doc["_id"]) async for doc in self._database.leases.find(query, {"_id": 1})}
        return [
            replace(library, removal=replace(library.removal, daemon_active=library.id in leased))
            if library.removal
            else library
            for library in libraries
        ]

    async def _update(
        self, library_id: LibraryId, update: dict[str, Any], where: dict[str, Any] | None = None
    ) -> Library | None:
        doc = await self._libraries.find_one_and_update(
            {"_id": object_id(library_id), **(where or {})}, update, return_document=ReturnDocument.AFTER
        )
        return library_from_doc(doc) if doc else None

    @maps_driver_errors
    async def _set(self, library_id: LibraryId, fields: dict[str, Any]) -> Library | None:
        return await self._update(library_id, {"$set": fields})


def _nothing_to_approve(library: Library) -> str:
    if library.state is LibraryState.SUSPENDED:
        return f"{library.name} has nothing to approve: {library.scan_error}"
    return f"{library.name} has nothing to approve: no deletion waits, and its root folder is the known one"
