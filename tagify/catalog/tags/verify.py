"""Counting again what is counted already: whether the stored counts are exact, and making them so.

Verifying reads images and counts as they were at one moment. Repairing counts one tag anew in a
transaction that begins by writing to its count, so no change of that tag can slip in between. A tag that
is spelt in several ways is spelt in one again, as a rename does it. All may run beside live traffic.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pymongo
from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.counters import initial_fields, tag_id
from tagify.catalog.database import Database
from tagify.catalog.errors import maps_driver_errors
from tagify.catalog.mapping import PRESENT
from tagify.catalog.tags.rename import RenameStep
from tagify.catalog.transactions import Transactions
from tagify.model import ImageState, LibraryId
from tagify.tagnames import tag_key

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


@dataclass(frozen=True, slots=True)
class Misspelling:
    """A tag that some images or counts spell otherwise too, as they do while it is being renamed."""

    tag: str
    others: tuple[str, ...]


Discrepancy = Miscount | Misspelling


class CountVerifier:
    """Verifies and repairs the counts of one database."""

    def __init__(
        self, client: AsyncMongoClient[dict[str, Any]], database: Database, transactions: Transactions
    ) -> None:
        self._client = client
        self._database = database
        self._transactions = transactions

    @maps_driver_errors
    async def verify(self) -> list[Discrepancy]:
        """Every count and spelling that was wrong at one moment. Raises Unavailable."""
        with pymongo.timeout(VERIFY_TIMEOUT_S):
            async with self._client.start_session(snapshot=True) as session:
                stored, names = await self._stored(session)
                counted = await self._counted(session)
        return [*_misspellings(names, counted), *_miscounts(stored, names, counted)]

    async def repair(self, faults: Iterable[Discrepancy]) -> None:
        """Make these right, each by itself. Raises Unavailable."""
        faults = list(faults)
        misspellings = [fault for fault in faults if isinstance(fault, Misspelling)]
        for misspelling in misspellings:
            await self._respell(misspelling)
        if misspellings:
            # An image that carried two spellings of a tag was counted twice.
            faults = await self.verify()
        for fault in faults:
            if isinstance(fault, Miscount):
                await self._repair(fault)

    @maps_driver_errors
    async def _respell(self, fault: Misspelling) -> None:
        step = RenameStep(ObjectId(), frozenset(fault.others), fault.tag, None)
        changed = 1
        while changed:
            with pymongo.timeout(REPAIR_TIMEOUT_S):
                changed, _ = await self._transactions.run(lambda session: step.run(self._database, session))

    @maps_driver_errors
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
        once = initial_fields(name, miscount.tag)
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

    async def _stored(self, session: AsyncClientSession) -> tuple[Counter[Scope], "_Names"]:
        """The counts as they are kept, and how they spell each tag: the count over all libraries first."""
        counts: Counter[Scope] = Counter()
        names: _Names = defaultdict(list)
        fields = {"library_id": 1, "key": 1, "name": 1, "count": 1, "_id": 0}
        async for doc in self._database.tags.find({}, fields, session=session).sort("_id", 1):
            counts[doc["library_id"], doc["key"]] = doc.get("count", 0)
            names[doc["key"]].append(doc["name"])
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


_Names = defaultdict[str, list[str]]


class _Counted:
    """What the images themselves say."""

    def __init__(self) -> None:
        self.counts: Counter[Scope] = Counter()
        self.spellings: defaultdict[str, set[str]] = defaultdict(set)

    def add_tag(self, what: Mapping[str, Any], count: int) -> None:
        key = tag_key(what["tag"])
        self.counts[what["library"], key] += count
        self.counts[None, key] += count
        self.spellings[key].add(what["tag"])


def _misspellings(names: _Names, counted: _Counted) -> Iterator[Misspelling]:
    for key in sorted(names.keys() | counted.spellings.keys()):
        name = _name(key, names, counted)
        if others := {*names[key], *counted.spellings[key]} - {name}:
            yield Misspelling(name, tuple(sorted(others)))


def _miscounts(stored: Counter[Scope], names: _Names, counted: _Counted) -> Iterator[Miscount]:
    for library, key in sorted(stored.keys() | counted.counts.keys(), key=str):
        if stored[library, key] != counted.counts[library, key]:
            yield Miscount(
                LibraryId(str(library)) if library else None,
                _name(key, names, counted),
                tuple(counted.spellings[key]),
                stored[library, key],
                counted.counts[library, key],
            )


def _name(key: str, names: _Names, counted: _Counted) -> str:
    """How a tag is spelt where opinions differ; empty for the key of a library's own count."""
    return next(iter(names[key]), "") or min(counted.spellings[key], default="")
