"""Purge log: contents whose objects were deleted. Each cache reads it from its saved offset (invalidation).

Entries are kept for RETENTION, so that a cache which was down can catch up. Purging a content that was
uploaded again since then only costs rendering it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from tagify.catalog.database import Database
from tagify.catalog.deletion_queue import MarkedObject
from tagify.catalog.errors import maps_driver_errors
from tagify.model import Bucket, Content, is_content

RETENTION = timedelta(days=30)
"""Lifetime of an entry."""


@dataclass(frozen=True, slots=True)
class PurgeEntry:
    """A content that was deleted. `length` of its original in bytes, 0 if unknown."""

    content: Content
    length: int
    at: datetime

    @property
    def offset(self) -> str:
        """The position of the entry in the log; offsets sort in the order of the entries."""
        return f"{self.at.isoformat()} {self.content}"

    @staticmethod
    def parse_offset(text: str) -> str:
        """The offset in its normal form. Raises ValueError."""
        at, content = _split_offset(text)
        return f"{at.isoformat()} {content}"


class PurgeLog:
    """The entries, oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._purges = database.purges

    @maps_driver_errors
    async def append(self, objects: Sequence[MarkedObject]) -> None:
        """Record that these objects were deleted, at the server's current time. Raises Unavailable."""
        lengths = dict.fromkeys((item.content for item in objects), 0)
        lengths |= {item.content: item.length for item in objects if item.bucket is Bucket.ORIGINALS}
        updates = [
            UpdateOne(
                {"_id": content}, {"$currentDate": {"at": True}, "$max": {"length": length}}, upsert=True
            )
            for content, length in lengths.items()
        ]
        if updates:
            await self._purges.bulk_write(updates, ordered=False)

    @maps_driver_errors
    async def read_after(self, offset: str, min_age_s: float, limit: int) -> list[PurgeEntry]:
        """Up to `limit` entries after an offset (`""`: all), at least `min_age_s` old. Raises Unavailable."""
        before = {"$subtract": ["$$NOW", int(min_age_s * 1000)]}
        old: dict[str, Any] = {"$expr": {"$lte": ["$at", before]}}
        cursor = self._purges.find({**_after_filter(offset), **old})
        cursor = cursor.sort([("at", 1), ("_id", 1)]).limit(limit)
        return [PurgeEntry(Content(doc["_id"]), doc["length"], doc["at"]) async for doc in cursor]


def _after_filter(offset: str) -> dict[str, Any]:
    if not offset:
        return {}
    at, content = _split_offset(offset)
    return {"at": {"$gte": at}, "$or": [{"at": {"$gt": at}}, {"_id": {"$gt": content}}]}


def _split_offset(offset: str) -> tuple[datetime, str]:
    at, _, content = offset.partition(" ")
    if not is_content(content):
        raise ValueError("not an offset of the purge log")
    return datetime.fromisoformat(at), content
