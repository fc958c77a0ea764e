"""Images whose tags change and the counts that move with them, written in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.indexes import PRESENT, Database
from tagify.catalog.tallies import Tallies

CHUNK = 500
"""Images in one transaction, at most: one that takes long is forever overtaken by short ones."""

FIELDS = {"tags": 1, "tag_log": 1, "library_id": 1, "state": 1}
"""What must be known of an image whose tags are to change."""

Doc = Mapping[str, Any]


async def present(
    database: Database, ids: Iterable[ObjectId], session: AsyncClientSession
) -> dict[ObjectId, Doc]:
    """Those of the images that are present, with FIELDS, as the transaction sees them."""
    cursor = database.images.find({"_id": {"$in": list(ids)}, **PRESENT}, FIELDS, session=session)
    return {doc["_id"]: doc async for doc in cursor}


class TagWrites:
    """Collects the images of one transaction, then writes them all."""

    def __init__(self) -> None:
        self._tallies = Tallies()
        self._updates: list[UpdateOne] = []
        self._now = datetime.now(UTC)

    def note(self, doc: Doc, tags: Sequence[str], log: Sequence[Doc]) -> None:
        """The image with FIELDS shall have these tags and this log (`retag`)."""
        self._tallies.note(doc, {**doc, "tags": tags})
        fields = {"tags": list(tags), "tag_log": list(log), "updated_at": self._now}
        self._updates.append(UpdateOne({"_id": doc["_id"]}, {"$set": fields}))

    async def apply(self, database: Database, session: AsyncClientSession) -> None:
        """Write them.

        Counts first: they are what transactions meet at, and the one that has to give way has not
        written a thousand images for nothing.
        """
        if self._updates:
            await self._tallies.apply(database, session)
            await database.images.bulk_write(self._updates, ordered=False, session=session)
