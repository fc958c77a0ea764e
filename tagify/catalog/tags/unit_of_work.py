"""Images whose tags change and the counts that move with them, written in one transaction."""

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
"""What must be known of an image whose tags are to change."""

Doc = Mapping[str, Any]


class TagUnitOfWork:
    """Images as they were and as they shall be. Later changes see what earlier ones did."""

    def __init__(self, docs: Mapping[ObjectId, Doc], spelling: TagSpellings) -> None:
        """`docs` have FIELDS."""
        self._before = docs
        self._changed: dict[ObjectId, Doc] = {}
        self.spelling = spelling

    @classmethod
    async def load(
        cls, database: Database, ids: Iterable[ObjectId], names: Iterable[str], session: AsyncClientSession
    ) -> "TagUnitOfWork":
        """Those of these images that are present, and how these tags are spelt."""
        known = await load_spellings(database, names, session)
        query = {"_id": {"$in": list(set(ids))}, **PRESENT}
        cursor = database.images.find(query, PROJECTION, session=session)
        return cls({doc["_id"]: doc async for doc in cursor}, known)

    def get(self, name: ObjectId) -> Doc | None:
        """The image as it shall be by now."""
        return self._changed.get(name) or self._before.get(name)

    def set_tags(self, name: ObjectId, tags: Sequence[str], log: Sequence[Doc]) -> None:
        """The image shall have these tags and this log (`retag`)."""
        self._changed[name] = {**self._before[name], "tags": list(tags), "tag_log": list(log)}

    async def write(self, database: Database, session: AsyncClientSession) -> None:
        """Make it so.

        Counts first: they are what transactions meet at, and the one that has to give way has not
        written a thousand images for nothing.
        """
        if not self._changed:
            return
        tallies, now = CounterDeltas(), datetime.now(UTC)
        for name, doc in self._changed.items():
            tallies.record(self._before[name], doc)
        updates = [
            UpdateOne(
                {"_id": name}, {"$set": {"tags": doc["tags"], "tag_log": doc["tag_log"], "updated_at": now}}
            )
            for name, doc in self._changed.items()
        ]
        await tallies.apply(database, session)
        await database.images.bulk_write(updates, ordered=False, session=session)
