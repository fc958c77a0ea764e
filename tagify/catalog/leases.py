"""One writer for each library: leases with a fencing token, kept by the server's clock."""

from collections.abc import Mapping
from typing import Any

from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.database import Database
from tagify.catalog.errors import LeaseLost, maps_driver_errors
from tagify.catalog.mapping import object_id
from tagify.model import Lease, LibraryId

FencingTokens = Mapping[LibraryId, int]
"""The tokens of the leases by which a batch is written."""

_NOBODY = {"owner": "", "token": 0}


class LibraryLeases:
    """Who may write which library."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = database.leases

    @maps_driver_errors
    async def acquire(self, library_id: LibraryId, owner: str, lifetime_s: float) -> Lease:
        """The lease as it is afterwards: the owner's where it was free, run out or the owner's already.

        Each taking has a higher token than the one before. Raises Unavailable.
        """
        name = object_id(library_id)
        await self._leases.update_one({"_id": name}, {"$setOnInsert": _NOBODY}, upsert=True)
        is_free = {"$or": [{"$lte": ["$until", "$$NOW"]}, {"$in": ["$owner", ["", owner]]}]}
        doc = await self._take({"_id": name, "$expr": is_free}, owner, lifetime_s)
        doc = doc or await self._leases.find_one({"_id": name})
        return _lease(doc or _NOBODY)

    @maps_driver_errors
    async def take_over(
        self, library_id: LibraryId, current: Lease, owner: str, lifetime_s: float
    ) -> Lease | None:
        """The lease of an owner that is dead, or None where it has gone on. Raises Unavailable."""
        query = {"_id": object_id(library_id), "owner": current.owner, "token": current.token}
        doc = await self._take(query, owner, lifetime_s)
        return _lease(doc) if doc else None

    @maps_driver_errors
    async def renew(self, library_id: LibraryId, token: int, lifetime_s: float) -> bool:
        """Whether the lease is still this one; it lives on from now. Raises Unavailable."""
        query = {"_id": object_id(library_id), "token": token}
        done = await self._leases.update_one(query, [{"$set": {"until": _from_now(lifetime_s)}}])
        return done.matched_count == 1

    @maps_driver_errors
    async def release(self, library_id: LibraryId, owner: str) -> None:
        """Let it go, where it is the owner's. Raises Unavailable."""
        query = {"_id": object_id(library_id), "owner": owner}
        await self._leases.update_one(query, {"$set": {"owner": ""}})

    async def _take(self, query: dict[str, Any], owner: str, lifetime_s: float) -> dict[str, Any] | None:
        taken = {"owner": owner, "token": {"$add": ["$token", 1]}, "until": _from_now(lifetime_s)}
        return await self._leases.find_one_and_update(
            query, [{"$set": taken}], return_document=ReturnDocument.AFTER
        )


async def enforce_fences(database: Database, fences: FencingTokens, session: AsyncClientSession) -> None:
    """Make the transaction one that only the leases' holders can commit.

    Each lease is written to, for reading it would not do: another could take it over while this
    transaction is under way, and both would commit. Raises LeaseLost.
    """
    for library, token in sorted(fences.items()):
        done = await database.leases.update_one(
            {"_id": object_id(library), "token": token}, {"$inc": {"batches": 1}}, session=session
        )
        if not done.matched_count:
            raise LeaseLost(library)


def _from_now(seconds: float) -> dict[str, Any]:
    return {"$add": ["$$NOW", int(seconds * 1000)]}


def _lease(doc: Mapping[str, Any]) -> Lease:
    return Lease(doc["owner"], doc["token"])
