"""Unit of work of tag changes: images and counts, written in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.counters import CounterDeltas, load_spellings
from tagify.catalog.database import Database
from tagify.catalog.mapping import PRESENT
from tagify.tagnames import TagSpellings

PROJECTION = {"tags": 1, "tag_log": 1, "library_id": 1, "state": 1}
"""The fields of an image that a change of its tags needs."""

Doc = Mapping[str, Any]


class TagUnitOfWork:
    """Images before and after the changes of a batch. Later changes see the result of earlier ones."""

    def __init__(self, docs: Mapping[ObjectId, Doc], spellings: TagSpellings) -> None:
        """`docs` have the fields of PROJECTION."""
        self._before = docs
        self._changed: dict[ObjectId, Doc] = {}
        self.spellings = spellings

    @classmethod
    async def load(
        cls, database: Database, ids: Iterable[ObjectId], names: Iterable[str], session: AsyncClientSession
    ) -> "TagUnitOfWork":
        """Load those images that are present, and the stored spellings of these tags."""
        spellings = await load_spellings(database, names, session)
        query = {"_id": {"$in": list(set(ids))}, **PRESENT}
        cursor = database.images.find(query, PROJECTION, session=session)
        return cls({doc["_id"]: doc async for doc in cursor}, spellings)

    def get(self, image_id: ObjectId) -> Doc | None:
        """The image after the changes so far; None if it is not present."""
        return self._changed.get(image_id) or self._before.get(image_id)

    def set_tags(self, image_id: ObjectId, tags: Sequence[str], log: Sequence[Doc]) -> None:
        """Set the image's tags and log (`edits.log_with_edit`)."""
        self._changed[image_id] = {**self._before[image_id], "tags": list(tags), "tag_log": list(log)}

    async def write(self, database: Database, session: AsyncClientSession) -> None:
        """Write the changed images and the counts.

        Counts first: write conflicts occur on them, and a transaction that has to retry has then not
        yet written a thousand images.
        """
        if not self._changed:
            return
        deltas, now = CounterDeltas(), datetime.now(UTC)
        for image_id, doc in self._changed.items():
            deltas.record(self._before[image_id], doc)
        updates = [
            UpdateOne(
                {"_id": image_id},
                {"$set": {"tags": doc["tags"], "tag_log": doc["tag_log"], "updated_at": now}},
            )
            for image_id, doc in self._changed.items()
        ]
        await deltas.apply(database, session)
        await database.images.bulk_write(updates, ordered=False, session=session)
