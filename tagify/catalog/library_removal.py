"""Taking a library out of the catalog, batch by batch: images, counts, and the contents left over.

Each batch is one transaction under the library's lease, and keeps what comes next in the catalog, so
whoever goes on after a crash goes on where it was. Contents to which nothing refers any more are
condemned (`condemned`) with the last image that did.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pymongo
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.counters import CounterDeltas
from tagify.catalog.database import Database
from tagify.catalog.deletion_queue import StoredObject
from tagify.catalog.errors import maps_driver_errors
from tagify.catalog.leases import FencingTokens, enforce_fences
from tagify.catalog.mapping import object_id
from tagify.catalog.transactions import Transactions
from tagify.model import Content, LibraryId

BATCH = 500

COUNT_TIMEOUT_S = 60.0
"""Deadline of counting a library's images."""

ObjectsOf = Callable[[Content, int], Iterable[StoredObject]]
"""Where the objects of a content of so many bytes are stored."""

_FIELDS = {"tags": 1, "library_id": 1, "state": 1, "content": 1, "size": 1}


class LibraryRemovalSteps:
    """Libraries on their way out."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._images = database.images
        self._libraries = database.libraries
        self._condemned = database.condemned
        self._transactions = transactions

    @maps_driver_errors
    async def begin(self, library_id: LibraryId) -> None:
        """Count what there is to do, where that has not been counted. Raises Unavailable."""
        library = object_id(library_id)
        with pymongo.timeout(COUNT_TIMEOUT_S):
            total = await self._images.count_documents({"library_id": library})
        begun = {"removal": {"total": total, "done": 0, "objects_left": 0}, "scanning": False}
        await self._libraries.update_one({"_id": library, "removal": None}, {"$set": begun})

    @maps_driver_errors
    async def delete_image_batch(
        self, library_id: LibraryId, fences: FencingTokens, objects_of: ObjectsOf
    ) -> bool:
        """Take out some images with their counts; whether there may be more.

        Raises LeaseLost, Unavailable.
        """
        more = await self._transactions.run(
            lambda session: self._images_of(library_id, fences, objects_of, session)
        )
        # Only now, for the time that a condemned content has to wait runs from when all can see it.
        await self._condemned.update_many(
            {"at": None, "libraries": object_id(library_id)}, {"$currentDate": {"at": True}}
        )
        return more

    @maps_driver_errors
    async def count_objects_left(self, library_id: LibraryId) -> int:
        """Contents whose objects are still to be removed, or to be pardoned. Raises Unavailable."""
        library = object_id(library_id)
        left = await self._condemned.count_documents({"libraries": library})
        await self._libraries.update_one({"_id": library}, {"$set": {"removal.objects_left": left}})
        return left

    @maps_driver_errors
    async def delete_library(self, library_id: LibraryId) -> None:
        """The library itself goes, and with it its lease. Raises Unavailable."""
        await self._transactions.run(lambda session: self._finish(library_id, session))

    async def _images_of(
        self, library_id: LibraryId, fences: FencingTokens, objects_of: ObjectsOf, session: AsyncClientSession
    ) -> bool:
        await enforce_fences(self._database, fences, session)
        library = object_id(library_id)
        cursor = self._images.find({"library_id": library}, _FIELDS, session=session)
        docs = await cursor.sort("_id", 1).limit(BATCH).to_list()
        if not docs:
            return False
        tallies = CounterDeltas()
        for doc in docs:
            tallies.record(doc, None)
        await tallies.apply(self._database, session)
        names = [doc["_id"] for doc in docs]
        await self._images.delete_many({"_id": {"$in": names}}, session=session)
        contents = {Content(doc["content"]): int(doc["size"]) for doc in docs if doc.get("content")}
        await self._mark_contents(library_id, contents, objects_of, session)
        done = {"$inc": {"removal.done": len(docs)}}
        await self._libraries.update_one({"_id": library}, done, session=session)
        return True

    async def _mark_contents(
        self,
        library_id: LibraryId,
        contents: dict[Content, int],
        objects_of: ObjectsOf,
        session: AsyncClientSession,
    ) -> None:
        in_use: list[dict[str, Any]] = [
            {"$match": {"content": {"$in": sorted(contents)}}},
            {"$group": {"_id": "$content"}},
        ]
        async for doc in await self._images.aggregate(in_use, session=session):
            contents.pop(Content(doc["_id"]), None)
        if contents:
            updates = [_mark(library_id, list(objects_of(*item))) for item in sorted(contents.items())]
            await self._condemned.bulk_write(updates, ordered=False, session=session)

    async def _finish(self, library_id: LibraryId, session: AsyncClientSession) -> None:
        library = object_id(library_id)
        await self._libraries.delete_one({"_id": library}, session=session)
        await self._database.leases.delete_one({"_id": library}, session=session)


def _mark(library_id: LibraryId, objects: Sequence[StoredObject]) -> UpdateOne:
    places = [item.to_document() for item in objects]
    return UpdateOne(
        {"_id": objects[0].content},
        {
            "$setOnInsert": {"at": None},
            "$addToSet": {"objects": {"$each": places}, "libraries": object_id(library_id)},
        },
        upsert=True,
    )
