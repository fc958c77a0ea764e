"""Stored counts, updated in the same transaction as the documents they count.

One rule for all of them: ready images count, as lists show. Failed and missing ones do not. Failed
images, and ready ones that are damaged, have separate counts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.autocomplete import prefixes
from tagify.catalog.database import Database
from tagify.catalog.transactions import Transactions
from tagify.model import ImageState
from tagify.tagnames import EXPANDED_CHARACTERS, TagSpellings, tag_key

COUNTED = {"state": ImageState.READY.value}
"""Filter for the image documents that counts include."""


async def load_spellings(
    database: Database, names: Iterable[str], session: AsyncClientSession | None
) -> TagSpellings:
    """The stored spellings of those tags that are in use."""
    ids = [{"library_id": None, "key": tag_key(name)} for name in set(names)]
    cursor = database.tags.find({"_id": {"$in": ids}}, {"key": 1, "name": 1}, session=session)
    return TagSpellings({doc["key"]: doc["name"] async for doc in cursor} if ids else {})


def spellings_in_use(tag: Mapping[str, Any]) -> tuple[str, ...]:
    """All spellings of a tag on images: that of its document, and the old ones while a rename is running."""
    return tuple(dict.fromkeys((tag["name"], *tag.get("respelling", ()))))


class CounterDeltas:
    """Collects differences of the counts of tags (per library and overall) and of libraries' images."""

    def __init__(self) -> None:
        self._tags: Counter[tuple[ObjectId | None, str]] = Counter()
        self._libraries: Counter[ObjectId] = Counter()
        self._failed: Counter[ObjectId] = Counter()
        self._damaged: Counter[ObjectId] = Counter()

    def record(self, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> None:
        """Record that an image document changes; None if it is inserted or deleted."""
        for doc, sign in ((before, -1), (after, 1)):
            if doc is not None and doc["state"] == ImageState.FAILED:
                self._failed[doc["library_id"]] += sign
            if doc is None or doc["state"] != ImageState.READY:
                continue
            self._libraries[doc["library_id"]] += sign
            self._damaged[doc["library_id"]] += sign * bool(doc.get("damaged"))
            for tag in doc["tags"]:
                self._tags[doc["library_id"], tag] += sign
                self._tags[None, tag] += sign

    async def apply(self, database: Database, session: AsyncClientSession) -> None:
        """Add the differences to the stored counts. A tag whose count reaches 0 is deleted."""
        # Sorted, so that two transactions conflict at their first common document, not after much work.
        tags = sorted(
            ((library, tag, delta) for (library, tag), delta in self._tags.items() if delta),
            key=lambda item: (str(item[0]), item[1]),
        )
        if tags:
            await database.tags.bulk_write([_increment(*item) for item in tags], session=session)
        decremented = [tag_id(library, tag) for library, tag, delta in tags if delta < 0]
        if decremented:
            unused = {"_id": {"$in": decremented}, "count": {"$lte": 0}}
            await database.tags.delete_many(unused, session=session)
        libraries = [
            UpdateOne({"_id": library}, {"$inc": {field: delta}})
            for field, counts in (
                ("indexed_count", self._libraries),
                ("failed_count", self._failed),
                ("damaged_count", self._damaged),
            )
            for library, delta in sorted(counts.items())
            if delta
        ]
        if libraries:
            await database.libraries.bulk_write(libraries, session=session)


def tag_id(library: ObjectId | None, tag: str) -> dict[str, Any]:
    """The `_id` of a tag's document, in one library or over all (None)."""
    return {"library_id": library, "key": tag_key(tag)}


def initial_fields(doc_id: Mapping[str, Any], tag: str) -> dict[str, Any]:
    """The fields written once, when the document of a tag is inserted."""
    return {**doc_id, "name": tag, "heads": prefixes(doc_id["key"])}


async def rekey_tags(database: Database, transactions: Transactions) -> int:
    """Move tags stored under a key of full case folding, as version 0.1.0 did, to their key; their number.

    The count moves with the tag, in a transaction for each, so that it may run beside other writes.
    """
    query = {"name": {"$regex": f"[{EXPANDED_CHARACTERS}]"}}
    tags = await database.tags.find(query, {"key": 1, "name": 1}).to_list()
    old_ids = [tag["_id"] for tag in tags if tag["key"] != tag_key(tag["name"])]
    for old_id in old_ids:
        await transactions.run(partial(_rekey, database, old_id))
    return len(old_ids)


async def recount_failed(database: Database, transactions: Transactions) -> None:
    """Count the failed images of each library, also of those stored before they were counted."""
    for library in await database.libraries.find({}, {"_id": 1}).to_list():
        await transactions.run(partial(_recount_failed, database, library["_id"]))


async def _recount_failed(database: Database, library: ObjectId, session: AsyncClientSession) -> None:
    query = {"state": ImageState.FAILED.value, "library_id": library}
    count = await database.images.count_documents(query, session=session)
    await database.libraries.update_one({"_id": library}, {"$set": {"failed_count": count}}, session=session)


async def _rekey(database: Database, old_id: Mapping[str, Any], session: AsyncClientSession) -> None:
    tag = await database.tags.find_one_and_delete({"_id": old_id}, session=session)
    if tag is None:
        return
    new_id = tag_id(tag["library_id"], tag["name"])
    kept = {name: value for name, value in tag.items() if name not in ("_id", "key", "heads", "count")}
    update = {
        "$inc": {"count": tag.get("count", 0)},
        "$setOnInsert": {**kept, **initial_fields(new_id, tag["name"])},
    }
    await database.tags.update_one({"_id": new_id}, update, upsert=True, session=session)


def _increment(library: ObjectId | None, tag: str, delta: int) -> UpdateOne:
    doc_id = tag_id(library, tag)
    update = {"$inc": {"count": delta}, "$setOnInsert": initial_fields(doc_id, tag)}
    return UpdateOne({"_id": doc_id}, update, upsert=True)
