"""Counting again what is counted already: whether the stored counts are exact, and making them so.

Verifying reads images and counts as they were at one moment. Repairing counts one tag anew in a
transaction that begins by writing to its count, so no change of that tag can slip in between. Both
may run beside live traffic.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pymongo
from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.database import Database
from tagify.catalog.failures import translated
from tagify.catalog.indexes import PRESENT
from tagify.catalog.tallies import first_fields, tag_id
from tagify.catalog.transactions import Transactions
from tagify.model import ImageState, LibraryId
from tagify.tagnames import key_of

VERIFY_TIMEOUT_S = 280.0
"""Deadline of one verification: MongoDB remembers a moment for 300 s."""

REPAIR_TIMEOUT_S = 120.0
"""Deadline of counting one tag anew, repeats after conflicts included."""

Scope = tuple[ObjectId | None, str]
"""A library, or None for all, and the key of a tag; the empty key is that of the library's own count."""


@dataclass(frozen=True, slots=True)
class Miscount:
    """A count that is not what counting gives: of a tag, or where that is empty of a library's images.

    `spellings` are those that images carry.
    """

    library_id: LibraryId | None
    tag: str
    spellings: tuple[str, ...]
    stored: int
    counted: int


class Recount:
    """Verifies and repairs the counts of one database."""

    def __init__(
        self, client: AsyncMongoClient[dict[str, Any]], database: Database, transactions: Transactions
    ) -> None:
        self._client = client
        self._database = database
        self._transactions = transactions

    @translated
    async def verify(self) -> list[Miscount]:
        """Every count that was wrong at one moment. Raises Unavailable."""
        with pymongo.timeout(VERIFY_TIMEOUT_S):
            async with self._client.start_session(snapshot=True) as session:
                stored, names = await self._stored(session)
                counted = await self._counted(session)
        return [
            Miscount(
                LibraryId(str(library)) if library else None,
                names.get(key) or min(counted.spellings[key], default=""),
                tuple(counted.spellings[key]),
                stored[library, key],
                counted.counts[library, key],
            )
            for library, key in sorted(stored.keys() | counted.counts.keys(), key=str)
            if stored[library, key] != counted.counts[library, key]
        ]

    async def repair(self, miscounts: Iterable[Miscount]) -> None:
        """Count these anew, each by itself. Raises Unavailable."""
        for miscount in miscounts:
            await self._repair(miscount)

    @translated
    async def _repair(self, miscount: Miscount) -> None:
        library = ObjectId(miscount.library_id) if miscount.library_id else None
        with pymongo.timeout(REPAIR_TIMEOUT_S):
            if miscount.tag:
                await self._transactions.run(lambda session: self._repair_tag(library, miscount, session))
            elif library:
                await self._transactions.run(lambda session: self._repair_library(library, session))

    async def _repair_tag(
        self, library: ObjectId | None, miscount: Miscount, session: AsyncClientSession
    ) -> None:
        name = tag_id(library, miscount.tag)
        once = first_fields(name, miscount.tag)
        touch = {"$set": {"recounted_at": datetime.now(UTC)}, "$setOnInsert": once}
        await self._database.tags.update_one({"_id": name}, touch, upsert=True, session=session)
        scope = {"library_id": library} if library else {}
        query = {**scope, "tags": {"$in": list(miscount.spellings)}, **PRESENT}
        count = await self._database.images.count_documents(query, session=session)
        if count:
            await self._database.tags.update_one({"_id": name}, {"$set": {"count": count}}, session=session)
        else:
            await self._database.tags.delete_one({"_id": name}, session=session)

    async def _repair_library(self, library: ObjectId, session: AsyncClientSession) -> None:
        libraries = self._database.libraries
        touch = {"$set": {"recounted_at": datetime.now(UTC)}}
        await libraries.update_one({"_id": library}, touch, session=session)
        query = {"library_id": library, "state": ImageState.READY.value}
        count = await self._database.images.count_documents(query, session=session)
        await libraries.update_one({"_id": library}, {"$set": {"indexed_count": count}}, session=session)

    async def _stored(self, session: AsyncClientSession) -> tuple[Counter[Scope], dict[str, str]]:
        """The counts as they are kept, and how each tag is spelt."""
        counts: Counter[Scope] = Counter()
        names: dict[str, str] = {}
        fields = {"library_id": 1, "key": 1, "name": 1, "count": 1, "_id": 0}
        async for doc in self._database.tags.find({}, fields, session=session):
            counts[doc["library_id"], doc["key"]] = doc.get("count", 0)
            names[doc["key"]] = doc["name"]
        async for doc in self._database.libraries.find({}, {"indexed_count": 1}, session=session):
            counts[doc["_id"], ""] = doc["indexed_count"]
        return counts, names

    async def _counted(self, session: AsyncClientSession) -> "_Counted":
        counted = _Counted()
        by_tag: list[dict[str, Any]] = [
            {"$match": PRESENT},
            {"$unwind": "$tags"},
            {"$group": {"_id": {"library": "$library_id", "tag": "$tags"}, "count": {"$sum": 1}}},
        ]
        images = self._database.images
        async for doc in await images.aggregate(by_tag, allowDiskUse=True, session=session):
            counted.add_tag(doc["_id"], doc["count"])
        ready: list[dict[str, Any]] = [
            {"$match": {"state": ImageState.READY.value}},
            {"$group": {"_id": "$library_id", "count": {"$sum": 1}}},
        ]
        async for doc in await images.aggregate(ready, session=session):
            counted.counts[doc["_id"], ""] = doc["count"]
        return counted


class _Counted:
    """What the images themselves say."""

    def __init__(self) -> None:
        self.counts: Counter[Scope] = Counter()
        self.spellings: defaultdict[str, set[str]] = defaultdict(set)

    def add_tag(self, what: Mapping[str, Any], count: int) -> None:
        key = key_of(what["tag"])
        self.counts[what["library"], key] += count
        self.counts[None, key] += count
        self.spellings[key].add(what["tag"])
