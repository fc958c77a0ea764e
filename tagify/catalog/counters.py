"""Stored counts, moved in the transaction that moves what they count."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.autocomplete import prefixes
from tagify.catalog.database import Database
from tagify.model import ImageState
from tagify.tagnames import TagSpellings, tag_key


async def load_spellings(
    database: Database, names: Iterable[str], session: AsyncClientSession | None
) -> TagSpellings:
    """How these tags are spelt where they are in use already."""
    ids = [{"library_id": None, "key": tag_key(name)} for name in set(names)]
    cursor = database.tags.find({"_id": {"$in": ids}}, {"key": 1, "name": 1}, session=session)
    return TagSpellings({doc["key"]: doc["name"] async for doc in cursor} if ids else {})


def spellings_in_use(tag: Mapping[str, Any]) -> tuple[str, ...]:
    """How images spell a tag: as its document has it, and while it is being respelt as it was before."""
    return tuple(dict.fromkeys((tag["name"], *tag.get("respelling", ()))))


class CounterDeltas:
    """Differences in the counts of tags (in each library and over all) and of libraries."""

    def __init__(self) -> None:
        self._tags: Counter[tuple[ObjectId | None, str]] = Counter()
        self._libraries: Counter[ObjectId] = Counter()

    def record(self, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> None:
        """A document changes from `before` to `after`; None where it is not there."""
        for doc, sign in ((before, -1), (after, 1)):
            if doc is None:
                continue
            for tag in doc["tags"]:
                self._tags[doc["library_id"], tag] += sign
                self._tags[None, tag] += sign
            if doc["state"] == ImageState.READY:
                self._libraries[doc["library_id"]] += sign

    async def apply(self, database: Database, session: AsyncClientSession) -> None:
        """Move the stored counts. A tag that nothing carries any more is forgotten with its spelling."""
        # Sorted, so that two transactions meet at the same document first and one of them waits early.
        tags = sorted(
            ((library, tag, change) for (library, tag), change in self._tags.items() if change),
            key=lambda item: (str(item[0]), item[1]),
        )
        if tags:
            await database.tags.bulk_write([_count(*item) for item in tags], session=session)
        fewer = [tag_id(library, tag) for library, tag, change in tags if change < 0]
        if fewer:
            await database.tags.delete_many({"_id": {"$in": fewer}, "count": {"$lte": 0}}, session=session)
        libraries = [
            UpdateOne({"_id": library}, {"$inc": {"indexed_count": change}})
            for library, change in sorted(self._libraries.items())
            if change
        ]
        if libraries:
            await database.libraries.bulk_write(libraries, session=session)


def tag_id(library: ObjectId | None, tag: str) -> dict[str, Any]:
    """The `_id` of a tag's count, in a library or over all."""
    return {"library_id": library, "key": tag_key(tag)}


def initial_fields(name: Mapping[str, Any], tag: str) -> dict[str, Any]:
    """What is written once, when a tag with this `_id` is first counted."""
    return {**name, "name": tag, "heads": prefixes(name["key"])}


def _count(library: ObjectId | None, tag: str, change: int) -> UpdateOne:
    name = tag_id(library, tag)
    update = {"$inc": {"count": change}, "$setOnInsert": initial_fields(name, tag)}
    return UpdateOne({"_id": name}, update, upsert=True)
