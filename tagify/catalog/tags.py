"""Tags: their counts, and putting them on images and taking them off."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pymongo
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.documents import object_id
from tagify.catalog.failures import translated
from tagify.catalog.indexes import PRESENT, Database
from tagify.catalog.tallies import Tallies, spelling
from tagify.catalog.transactions import Transactions
from tagify.model import ImageId, LibraryId, TagCount
from tagify.tagnames import key_of

CHANGE_TIMEOUT_S = 30.0
"""Deadline of one change of tags, repeats after conflicts included."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """The tags of an image after a change, and what the change did to them."""

    id: ImageId
    tags: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


class Tags:
    """The tags of the catalog."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._tags = database.tags
        self._transactions = transactions

    @translated
    async def counts(
        self, library_id: LibraryId | None = None, *, prefix: str = "", limit: int
    ) -> list[TagCount]:
        """The most used tags of a library, or of all, that start with `prefix` in any case."""
        query: dict[str, Any] = {"library_id": object_id(library_id) if library_id else None}
        if prefix:
            query["key"] = {"$regex": f"^{re.escape(key_of(prefix))}"}
        cursor = self._tags.find(query, {"name": 1, "count": 1}).sort([("count", -1), ("key", 1)])
        return [TagCount(doc["name"], doc["count"]) for doc in await cursor.limit(limit).to_list()]

    @translated
    async def change(self, ids: Sequence[ImageId], add: Sequence[str], remove: Sequence[str]) -> list[Tagged]:
        """Put tags on images and take tags off; each image and the counts together or not at all.

        The names are clean (`tagnames.clean`). A tag in both lists is put on. Answers for the
        images that are present, in the order asked for. Raises Unavailable.
        """
        with pymongo.timeout(CHANGE_TIMEOUT_S):
            return await self._transactions.run(lambda session: self._change(ids, add, remove, session))

    async def _change(
        self, ids: Sequence[ImageId], add: Sequence[str], remove: Sequence[str], session: AsyncClientSession
    ) -> list[Tagged]:
        known = await spelling(self._database, [*add, *remove], session)
        adding, removing = known.all(add), known.all(remove)
        query = {"_id": {"$in": [object_id(name) for name in ids]}, **PRESENT}
        fields = {"tags": 1, "library_id": 1, "state": 1}
        docs = {doc["_id"]: doc async for doc in self._database.images.find(query, fields, session=session)}
        tallies, updates, outcomes = Tallies(), [], []
        now = datetime.now(UTC)
        for name in dict.fromkeys(ids):
            if (doc := docs.get(object_id(name))) is None:
                continue
            tagged = _tagged(name, doc["tags"], adding, removing)
            outcomes.append(tagged)
            if tagged.added or tagged.removed:
                after = doc | {"tags": list(tagged.tags)}
                tallies.note(doc, after)
                updates.append(
                    UpdateOne({"_id": doc["_id"]}, {"$set": {"tags": after["tags"], "updated_at": now}})
                )
        if updates:
            await self._database.images.bulk_write(updates, ordered=False, session=session)
            await tallies.apply(self._database, session)
        return outcomes


def _tagged(image_id: ImageId, tags: Sequence[str], add: Sequence[str], remove: Sequence[str]) -> Tagged:
    dropped = set(remove) - set(add)
    kept = [tag for tag in tags if tag not in dropped]
    added = tuple(tag for tag in add if tag not in kept)
    return Tagged(image_id, (*kept, *added), added, tuple(tag for tag in tags if tag in dropped))
