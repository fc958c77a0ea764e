"""Deletion queue: contents whose objects are to be deleted, because no image refers to them.

An importer may find an object in the store and write its document a moment later, so objects are
deleted in three steps (mark and sweep). A content is marked first; from then on no new batch stores
an image of it. After all batches that were already running have ended, the content is claimed and
its references are checked again. Only then are its objects deleted, and it is unmarked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.database import Database
from tagify.catalog.errors import maps_driver_errors
from tagify.model import Bucket, Content, Lease

BATCH = 500
"""Maximum contents per claim."""

CLAIM_S = 120.0
"""Lifetime of a claim in seconds: the time to delete the objects of the claimed contents.

Without an exclusive claim a second collector could delete an object that was uploaded again since.
"""


@dataclass(frozen=True, slots=True)
class MarkedObject:
    """An object in the deletion queue: an original, or a thumbnail by some recipe.

    `length` in bytes, 0 if unknown.
    """

    bucket: Bucket
    key: str
    content: Content
    length: int = 0

    def to_document(self) -> dict[str, Any]:
        """Its entry in the document of its content."""
        return {"bucket": self.bucket.value, "key": self.key, "length": self.length}


@dataclass(frozen=True, slots=True)
class ClaimedObjects:
    """Objects of marked contents, and the lease under which one process may delete them."""

    lease: Lease
    objects: Sequence[MarkedObject]


class DeletionQueue:
    """Marks, claims and unmarks contents."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._condemned = database.condemned
        self._images = database.images

    @maps_driver_errors
    async def unreferenced(self, contents: Iterable[Content]) -> set[Content]:
        """Those contents to which no image in any state refers. Raises Unavailable."""
        candidates = set(contents)
        cursor = await self._images.aggregate(
            [{"$match": {"content": {"$in": sorted(candidates)}}}, {"$group": {"_id": "$content"}}]
        )
        return candidates - {Content(doc["_id"]) async for doc in cursor}

    @maps_driver_errors
    async def mark(self, objects: Sequence[MarkedObject]) -> None:
        """Mark the contents of these objects, at the server's current time. Raises Unavailable."""
        if objects:
            await self._condemned.bulk_write([_mark(item) for item in objects], ordered=False)

    @maps_driver_errors
    async def claim(self, min_age_s: float, owner: str) -> ClaimedObjects | None:
        """Claim up to BATCH contents that were marked at least `min_age_s` seconds ago; None if none.

        No other owner can claim them for CLAIM_S seconds. Raises Unavailable.
        """
        marked_before = {"$subtract": ["$$NOW", int(min_age_s * 1000)]}
        is_free = {"$lte": [{"$ifNull": ["$claimed_until", "$$NOW"]}, "$$NOW"]}
        claimable = {"at": {"$type": "date"}, "$expr": {"$and": [{"$lte": ["$at", marked_before]}, is_free]}}
        ids = [doc["_id"] async for doc in self._condemned.find(claimable, {"_id": 1}).limit(BATCH)]
        until = {"$add": ["$$NOW", int(CLAIM_S * 1000)]}
        await self._condemned.update_many(
            {"_id": {"$in": ids}, **claimable}, [{"$set": {"claimed_by": owner, "claimed_until": until}}]
        )
        docs = await self._condemned.find({"_id": {"$in": ids}, "claimed_by": owner}).to_list()
        objects = [item for doc in docs for item in _objects_from_doc(doc)]
        if not objects:
            return None
        return ClaimedObjects(Lease(owner, 0, min(doc["claimed_until"] for doc in docs)), objects)

    @maps_driver_errors
    async def unmark(self, claimed: ClaimedObjects) -> None:
        """Remove the contents from the queue if the claim still holds. Raises Unavailable."""
        contents = sorted({item.content for item in claimed.objects})
        await self._condemned.delete_many({"_id": {"$in": contents}, "claimed_by": claimed.lease.owner})


async def marked_contents(
    database: Database, contents: Iterable[Content], session: AsyncClientSession
) -> set[Content]:
    """Those contents that are marked for deletion, as seen by the transaction."""
    candidates = sorted(set(contents))
    cursor = database.condemned.find({"_id": {"$in": candidates}}, {"_id": 1}, session=session)
    return {Content(doc["_id"]) async for doc in cursor} if candidates else set()


def _mark(item: MarkedObject) -> UpdateOne:
    return UpdateOne(
        {"_id": item.content},
        {"$currentDate": {"at": True}, "$addToSet": {"objects": item.to_document()}},
        upsert=True,
    )


def _objects_from_doc(doc: dict[str, Any]) -> list[MarkedObject]:
    return [
        MarkedObject(Bucket(item["bucket"]), item["key"], Content(doc["_id"]), item.get("length", 0))
        for item in doc["objects"]
    ]
