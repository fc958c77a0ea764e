"""Library leases: one writer per library, with fencing tokens, timed by the server's clock."""

from collections.abc import Mapping
from typing import Any

from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.database import Database
from tagify.catalog.errors import LeaseLost, maps_driver_errors
from tagify.catalog.mapping import object_id
from tagify.model import Lease, LibraryId

FencingTokens = Mapping[LibraryId, int]
"""Libraries and the fencing tokens of their leases, under which a batch is written."""

_FREE = {"owner": "", "token": 0}


class LibraryLeases:
    """Acquires, renews and releases the leases of libraries."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = database.leases

    @maps_driver_errors
    async def acquire(self, library_id: LibraryId, owner: str, lifetime_s: float) -> Lease:
        """Acquire the lease if it is free, expired or already the owner's; return its current state.

        The caller holds it if the returned `owner` is its own. Each acquisition increments the token.
        Raises Unavailable.
        """
        lease_id = object_id(library_id)
        await self._leases.update_one({"_id": lease_id}, {"$setOnInsert": _FREE}, upsert=True)
        is_free = {"$or": [{"$lte": ["$until", "$$NOW"]}, {"$in": ["$owner", ["", owner]]}]}
        doc = await self._acquire({"_id": lease_id, "$expr": is_free}, owner, lifetime_s)
        doc = doc or await self._leases.find_one({"_id": lease_id})
        return _lease_from_doc(doc or _FREE)

    @maps_driver_errors
    async def take_over(
        self, library_id: LibraryId, current: Lease, owner: str, lifetime_s: float
    ) -> Lease | None:
        """Acquire the lease of an owner that is dead; None if it is not `current` any more.

        Raises Unavailable.
        """
        query = {"_id": object_id(library_id), "owner": current.owner, "token": current.token}
        doc = await self._acquire(query, owner, lifetime_s)
        return _lease_from_doc(doc) if doc else None

    @maps_driver_errors
    async def renew(self, library_id: LibraryId, token: int, lifetime_s: float) -> bool:
        """Extend the lease from now; False if the token is outdated. Raises Unavailable."""
        query = {"_id": object_id(library_id), "token": token}
        result = await self._leases.update_one(query, [{"$set": {"until": _from_now(lifetime_s)}}])
        return result.matched_count == 1

    @maps_driver_errors
    async def release(self, library_id: LibraryId, owner: str) -> None:
        """Free the lease if it is the owner's. Raises Unavailable."""
        query = {"_id": object_id(library_id), "owner": owner}
        await self._leases.update_one(query, {"$set": {"owner": ""}})

    async def _acquire(self, query: dict[str, Any], owner: str, lifetime_s: float) -> dict[str, Any] | None:
        fields = {"owner": owner, "token": {"$add": ["$token", 1]}, "until": _from_now(lifetime_s)}
        return await self._leases.find_one_and_update(
            query, [{"$set": fields}], return_document=ReturnDocument.AFTER
        )


async def enforce_fences(database: Database, fences: FencingTokens, session: AsyncClientSession) -> None:
    """Let the transaction commit only if these leases are still held.

    It writes to each lease document. Reading would not be enough: another process could acquire the
    lease while this transaction runs, and both would commit. Raises LeaseLost.
    """
    for library_id, token in sorted(fences.items()):
        result = await database.leases.update_one(
            {"_id": object_id(library_id), "token": token}, {"$inc": {"batches": 1}}, session=session
        )
        if not result.matched_count:
            raise LeaseLost(library_id)


def _from_now(seconds: float) -> dict[str, Any]:
    return {"$add": ["$$NOW", int(seconds * 1000)]}


def _lease_from_doc(doc: Mapping[str, Any]) -> Lease:
    return Lease(doc["owner"], doc["token"], doc.get("until"))
