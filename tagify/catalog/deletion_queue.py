"""Contents whose objects are about to be removed, since no image refers to them.

A writer may find an object stored already, and write its document a moment later. So a
content is condemned first; no batch that is begun from then on stores an image of it; once
all batches that were begun before have ended, whether it is referred to is asked again, and
only then are its objects removed and the content is pardoned.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.database import Database
from tagify.catalog.errors import maps_driver_errors
from tagify.model import Bucket, Content

BATCH = 500

CLAIM_S = 120.0
"""Who has claimed condemned contents has this long to remove their objects, in seconds.

Two that remove the same could remove what was stored anew in between.
"""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of the store: the bytes of a content, or their thumb by some recipe.

    `length` in bytes, 0 where nobody said.
    """

    bucket: Bucket
    key: str
    content: Content
    length: int = 0

    def to_document(self) -> dict[str, Any]:
        """As it stands in its content's document."""
        return {"bucket": self.bucket.value, "key": self.key, "length": self.length}


class DeletionQueue:
    """The contents that are condemned now."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._condemned = database.condemned
        self._images = database.images

    @maps_driver_errors
    async def unreferenced(self, contents: Iterable[Content]) -> set[Content]:
        """Those of them that no image refers to, in whatever state. Raises Unavailable."""
        asked = set(contents)
        cursor = await self._images.aggregate(
            [{"$match": {"content": {"$in": sorted(asked)}}}, {"$group": {"_id": "$content"}}]
        )
        return asked - {Content(doc["_id"]) async for doc in cursor}

    @maps_driver_errors
    async def mark(self, objects: Sequence[StoredObject]) -> None:
        """Condemn the contents of these objects, from now by the server's clock. Raises Unavailable."""
        if objects:
            await self._condemned.bulk_write([_condemn(item) for item in objects], ordered=False)

    @maps_driver_errors
    async def claim(self, age_s: float, by: str) -> list[StoredObject]:
        """Objects of up to BATCH contents that were condemned so long ago, for this one to remove.

        Nobody else is given them for CLAIM_S. Raises Unavailable.
        """
        then = {"$subtract": ["$$NOW", int(age_s * 1000)]}
        free = {"$lte": [{"$ifNull": ["$claimed_until", "$$NOW"]}, "$$NOW"]}
        ripe = {"at": {"$type": "date"}, "$expr": {"$and": [{"$lte": ["$at", then]}, free]}}
        names = [doc["_id"] async for doc in self._condemned.find(ripe, {"_id": 1}).limit(BATCH)]
        until = {"$add": ["$$NOW", int(CLAIM_S * 1000)]}
        await self._condemned.update_many(
            {"_id": {"$in": names}, **ripe}, [{"$set": {"claimed_by": by, "claimed_until": until}}]
        )
        cursor = self._condemned.find({"_id": {"$in": names}, "claimed_by": by})
        return [
            StoredObject(Bucket(item["bucket"]), item["key"], Content(doc["_id"]), item.get("length", 0))
            async for doc in cursor
            for item in doc["objects"]
        ]

    @maps_driver_errors
    async def unmark(self, contents: Iterable[Content], by: str) -> None:
        """They may be stored again. By who has claimed them alone. Raises Unavailable."""
        await self._condemned.delete_many({"_id": {"$in": sorted(set(contents))}, "claimed_by": by})


async def marked_contents(
    database: Database, contents: Iterable[Content], session: AsyncClientSession
) -> set[Content]:
    """Those of them that are condemned, as the transaction sees it."""
    asked = sorted(set(contents))
    cursor = database.condemned.find({"_id": {"$in": asked}}, {"_id": 1}, session=session)
    return {Content(doc["_id"]) async for doc in cursor} if asked else set()


def _condemn(item: StoredObject) -> UpdateOne:
    return UpdateOne(
        {"_id": item.content},
        {"$currentDate": {"at": True}, "$addToSet": {"objects": item.to_document()}},
        upsert=True,
    )
