"""Contents whose objects were removed, noted for those who keep copies: each forgets them by itself.

A note is kept for a while, so that a cache that was away finds out when it is back. To forget
a content that has been stored anew since costs its making, never a wrong answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from tagify.catalog.database import Database
from tagify.catalog.deletion_queue import StoredObject
from tagify.catalog.errors import maps_driver_errors
from tagify.model import Bucket, Content, is_content

RETENTION = timedelta(days=30)
"""How long a note is kept."""


@dataclass(frozen=True, slots=True)
class PurgeEntry:
    """A content that is stored no more. `length` of its original in bytes, 0 where it is not known."""

    content: Content
    length: int
    at: datetime

    @property
    def offset(self) -> str:
        """Where it stands among the others; sorts as they came."""
        return f"{self.at.isoformat()} {self.content}"

    @staticmethod
    def parse_offset(text: str) -> str:
        """The text where it is a place. Raises ValueError."""
        at, content = _parted(text)
        return f"{at.isoformat()} {content}"


class PurgeLog:
    """The notes, the oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._purges = database.purges

    @maps_driver_errors
    async def append(self, objects: Sequence[StoredObject]) -> None:
        """These objects are gone, as of now by the server's clock. Raises Unavailable."""
        lengths = dict.fromkeys((item.content for item in objects), 0)
        lengths |= {item.content: item.length for item in objects if item.bucket is Bucket.ORIGINALS}
        notes = [
            UpdateOne(
                {"_id": content}, {"$currentDate": {"at": True}, "$max": {"length": length}}, upsert=True
            )
            for content, length in lengths.items()
        ]
        if notes:
            await self._purges.bulk_write(notes, ordered=False)

    @maps_driver_errors
    async def read_after(self, place: str, age_s: float, limit: int) -> list[PurgeEntry]:
        """Those that stand behind a place (`""`: all) and are so old. Raises Unavailable."""
        then = {"$subtract": ["$$NOW", int(age_s * 1000)]}
        old: dict[str, Any] = {"$expr": {"$lte": ["$at", then]}}
        cursor = self._purges.find({**_behind(place), **old}).sort([("at", 1), ("_id", 1)]).limit(limit)
        return [PurgeEntry(Content(doc["_id"]), doc["length"], doc["at"]) async for doc in cursor]


def _behind(place: str) -> dict[str, Any]:
    if not place:
        return {}
    at, content = _parted(place)
    return {"at": {"$gte": at}, "$or": [{"at": {"$gt": at}}, {"_id": {"$gt": content}}]}


def _parted(place: str) -> tuple[datetime, str]:
    at, _, content = place.partition(" ")
    if not is_content(content):
        raise ValueError("no place of a removal")
    return datetime.fromisoformat(at), content
