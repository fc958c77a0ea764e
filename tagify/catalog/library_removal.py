"""Removal of a library from the catalog, in batches: images, counts, and contents that become unreferenced.

Each batch is one transaction under the library's lease. Progress is stored in the catalog, so after a
crash another process continues with the next batch. A content is marked for deletion in the
transaction that deletes its last image.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pymongo
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.counters import CounterDeltas
from tagify.catalog.database import Database
from tagify.catalog.deletion_queue import MarkedObject
from tagify.catalog.errors import maps_driver_errors
from tagify.catalog.leases import FencingTokens, enforce_fences
from tagify.catalog.mapping import object_id
from tagify.catalog.transactions import Transactions
from tagify.model import Content, LibraryId

BATCH = 500
"""Images deleted per transaction."""

COUNT_TIMEOUT_S = 60.0
"""Deadline of counting a library's images, in seconds."""

ObjectsOf = Callable[[Content, int], Iterable[MarkedObject]]
"""Returns the stored objects of a content, given its length in bytes."""

_FIELDS = {"tags": 1, "library_id": 1, "state": 1, "content": 1, "size": 1}


class LibraryRemovalSteps:
    """The database operations that remove a library, in the order of the methods."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._images = database.images
        self._libraries = database.libraries
        self._condemned = database.condemned
        self._transactions = transactions

    @maps_driver_errors
    async def begin(self, library_id: LibraryId) -> None:
        """Count the images and store the total, unless already done. Raises Unavailable."""
        library = object_id(library_id)
        with pymongo.timeout(COUNT_TIMEOUT_S):
            total = await self._images.count_documents({"library_id": library})
        progress = {"removal": {"total": total, "done": 0, "objects_left": 0}, "scanning": False}
        await self._libraries.update_one({"_id": library, "removal": None}, {"$set": progress})

    @maps_driver_errors
    async def delete_image_batch(
        self, library_id: LibraryId, fences: FencingTokens, objects_of: ObjectsOf
    ) -> bool:
        """Delete up to BATCH images and update the counts; False if there were none left.

        Raises LeaseLost, Unavailable.
        """
        deleted = await self._transactions.run(
            lambda session: self._delete_image_batch(library_id, fences, objects_of, session)
        )
        # After the commit: the minimum age of a mark counts from when all transactions can see it.
        await self._condemned.update_many(
            {"at": None, "libraries": object_id(library_id)}, {"$currentDate": {"at": True}}
        )
        return deleted

    @maps_driver_errors
    async def count_objects_left(self, library_id: LibraryId) -> int:
        """Count and store the contents still in the deletion queue. Raises Unavailable."""
        library = object_id(library_id)
        count = await self._condemned.count_documents({"libraries": library})
        await self._libraries.update_one({"_id": library}, {"$set": {"removal.objects_left": count}})
        return count

    @maps_driver_errors
    async def delete_library(self, library_id: LibraryId) -> None:
        """Delete the library's document and its lease. Raises Unavailable."""
        await self._transactions.run(lambda session: self._delete_library(library_id, session))

    async def _delete_image_batch(
        self,
        library_id: LibraryId,
        fences: FencingTokens,
        objects_of: ObjectsOf,
        session: AsyncClientSession,
    ) -> bool:
        await enforce_fences(self._database, fences, session)
        library = object_id(library_id)
        cursor = self._images.find({"library_id": library}, _FIELDS, session=session)
        docs = await cursor.sort("_id", 1).limit(BATCH).to_list()
        if not docs:
            return False
        deltas = CounterDeltas()
        for doc in docs:
            deltas.record(doc, None)
        await deltas.apply(self._database, session)
        ids = [doc["_id"] for doc in docs]
        await self._images.delete_many({"_id": {"$in": ids}}, session=session)
        contents = {Content(doc["content"]): int(doc["size"]) for doc in docs if doc.get("content")}
        await self._mark_contents(library_id, contents, objects_of, session)
        progress = {"$inc": {"removal.done": len(docs)}}
        await self._libraries.update_one({"_id": library}, progress, session=session)
        return True

    async def _mark_contents(
        self,
        library_id: LibraryId,
        contents: dict[Content, int],
        objects_of: ObjectsOf,
        session: AsyncClientSession,
    ) -> None:
        """Mark those contents for deletion to which no image refers any more."""
        in_use: list[dict[str, Any]] = [
            {"$match": {"content": {"$in": sorted(contents)}}},
            {"$group": {"_id": "$content"}},
        ]
        async for doc in await self._images.aggregate(in_use, session=session):
            contents.pop(Content(doc["_id"]), None)
        if contents:
            updates = [_mark(library_id, list(objects_of(*item))) for item in sorted(contents.items())]
            await self._condemned.bulk_write(updates, ordered=False, session=session)

    async def _delete_library(self, library_id: LibraryId, session: AsyncClientSession) -> None:
        library = object_id(library_id)
        await self._libraries.delete_one({"_id": library}, session=session)
        await self._database.leases.delete_one({"_id": library}, session=session)


def _mark(library_id: LibraryId, objects: Sequence[MarkedObject]) -> UpdateOne:
    documents = [item.to_document() for item in objects]
    return UpdateOne(
        {"_id": objects[0].content},
        {
            "$setOnInsert": {"at": None},
            "$addToSet": {"objects": {"$each": documents}, "libraries": object_id(library_id)},
        },
        upsert=True,
    )
