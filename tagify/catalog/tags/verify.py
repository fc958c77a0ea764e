"""Verification and repair of the stored counts and spellings.

Verification reads images and counts from one snapshot. Repair recounts one tag per transaction, which
first writes to the tag's document, so no concurrent change of that tag can commit in between. A tag
with several spellings is respelled as by a rename job. Both are safe during live traffic.
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

from tagify.catalog.counters import COUNTED, initial_fields, rekey_tags, tag_id
from tagify.catalog.database import Database
from tagify.catalog.errors import maps_driver_errors
from tagify.catalog.tags.rename import RenameStep
from tagify.catalog.transactions import Transactions
from tagify.model import LibraryId
from tagify.tagnames import tag_key

VERIFY_TIMEOUT_S = 280.0
"""Deadline of one verification in seconds: MongoDB keeps a snapshot for 300 s."""

REPAIR_TIMEOUT_S = 120.0
"""Deadline of recounting one tag in seconds, including retries after write conflicts."""

CountKey = tuple[ObjectId | None, str]
"""A library (None: all) and a tag's key; an empty key means the library's own image count."""


@dataclass(frozen=True, slots=True)
class Miscount:
    """A stored count that differs from the number of images: of a tag, or of a library if `tag` is empty.

    `spellings` are those on images.
    """

    library_id: LibraryId | None
    tag: str
    spellings: tuple[str, ...]
    stored: int
    counted: int


@dataclass(frozen=True, slots=True)
class Misspelling:
    """A tag with other spellings on some images or counts. Also found while a rename job is running."""

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
        """All wrong counts and spellings in one snapshot. Raises Unavailable."""
        with pymongo.timeout(VERIFY_TIMEOUT_S):
            async with self._client.start_session(snapshot=True) as session:
                stored, names = await self._load_stored(session)
                counted = await self._count_images(session)
        return [*_misspellings(names, counted), *_miscounts(stored, names, counted)]

    async def repair(self, discrepancies: Iterable[Discrepancy]) -> None:
        """Repair each discrepancy in a transaction of its own. Raises Unavailable."""
        discrepancies = list(discrepancies)
        if await self._rekey():
            discrepancies = await self.verify()
        misspellings = [item for item in discrepancies if isinstance(item, Misspelling)]
        for misspelling in misspellings:
            await self._respell(misspelling)
        if misspellings:
            # Verify again: an image with two spellings of a tag was counted twice.
            discrepancies = await self.verify()
        for item in discrepancies:
            if isinstance(item, Miscount):
                await self._repair(item)

    @maps_driver_errors
    async def _rekey(self) -> int:
        with pymongo.timeout(REPAIR_TIMEOUT_S):
            return await rekey_tags(self._database, self._transactions)

    @maps_driver_errors
    async def _respell(self, misspelling: Misspelling) -> None:
        step = RenameStep(ObjectId(), frozenset(misspelling.others), misspelling.tag, None)
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
        doc_id = tag_id(library, miscount.tag)
        on_insert = initial_fields(doc_id, miscount.tag)
        touch = {"$set": {"recounted_at": datetime.now(UTC)}, "$setOnInsert": on_insert}
        await self._database.tags.update_one({"_id": doc_id}, touch, upsert=True, session=session)
        scope = {"library_id": library} if library else {}
        query = {**scope, "tags": {"$in": list(miscount.spellings)}, **COUNTED}
        count = await self._database.images.count_documents(query, session=session)
        if count:
            await self._database.tags.update_one({"_id": doc_id}, {"$set": {"count": count}}, session=session)
        else:
            await self._database.tags.delete_one({"_id": doc_id}, session=session)

    async def _repair_library(self, library: ObjectId, session: AsyncClientSession) -> None:
        libraries = self._database.libraries
        touch = {"$set": {"recounted_at": datetime.now(UTC)}}
        await libraries.update_one({"_id": library}, touch, session=session)
        query = {"library_id": library, **COUNTED}
        count = await self._database.images.count_documents(query, session=session)
        await libraries.update_one({"_id": library}, {"$set": {"indexed_count": count}}, session=session)

    async def _load_stored(self, session: AsyncClientSession) -> tuple[Counter[CountKey], "_StoredNames"]:
        """The stored counts, and the stored names per tag key: that over all libraries first."""
        counts: Counter[CountKey] = Counter()
        names: _StoredNames = defaultdict(list)
        fields = {"library_id": 1, "key": 1, "name": 1, "count": 1, "_id": 0}
        async for doc in self._database.tags.find({}, fields, session=session).sort("_id", 1):
            counts[doc["library_id"], doc["key"]] = doc.get("count", 0)
            names[doc["key"]].append(doc["name"])
        async for doc in self._database.libraries.find({}, {"indexed_count": 1}, session=session):
            counts[doc["_id"], ""] = doc["indexed_count"]
        return counts, names

    async def _count_images(self, session: AsyncClientSession) -> "_ImageCounts":
        counted = _ImageCounts()
        by_tag: list[dict[str, Any]] = [
            {"$match": COUNTED},
            {"$unwind": "$tags"},
            {"$group": {"_id": {"library": "$library_id", "tag": "$tags"}, "count": {"$sum": 1}}},
        ]
        images = self._database.images
        async for doc in await images.aggregate(by_tag, allowDiskUse=True, session=session):
            counted.add_tag(doc["_id"], doc["count"])
        ready: list[dict[str, Any]] = [
            {"$match": COUNTED},
            {"$group": {"_id": "$library_id", "count": {"$sum": 1}}},
        ]
        async for doc in await images.aggregate(ready, session=session):
            counted.counts[doc["_id"], ""] = doc["count"]
        return counted


_StoredNames = defaultdict[str, list[str]]


class _ImageCounts:
    """Counts and spellings found on the images."""

    def __init__(self) -> None:
        self.counts: Counter[CountKey] = Counter()
        self.spellings: defaultdict[str, set[str]] = defaultdict(set)

    def add_tag(self, group: Mapping[str, Any], count: int) -> None:
        key = tag_key(group["tag"])
        self.counts[group["library"], key] += count
        self.counts[None, key] += count
        self.spellings[key].add(group["tag"])


def _misspellings(names: _StoredNames, counted: _ImageCounts) -> Iterator[Misspelling]:
    for key in sorted(names.keys() | counted.spellings.keys()):
        name = _preferred_name(key, names, counted)
        if others := {*names[key], *counted.spellings[key]} - {name}:
            yield Misspelling(name, tuple(sorted(others)))


def _miscounts(stored: Counter[CountKey], names: _StoredNames, counted: _ImageCounts) -> Iterator[Miscount]:
    for library, key in sorted(stored.keys() | counted.counts.keys(), key=str):
        if stored[library, key] != counted.counts[library, key]:
            yield Miscount(
                LibraryId(str(library)) if library else None,
                _preferred_name(key, names, counted),
                tuple(counted.spellings[key]),
                stored[library, key],
                counted.counts[library, key],
            )


def _preferred_name(key: str, names: _StoredNames, counted: _ImageCounts) -> str:
    """The spelling to keep: the stored one, else the first on images; empty for a library's own count."""
    return next(iter(names[key]), "") or min(counted.spellings[key], default="")
