"""Garbage collection (mark and sweep): deletes long-missing images and unreferenced stored objects."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tagify.catalog import CLAIM_S, Catalog, MarkedObject
from tagify.model import Bucket
from tagify.storage.store import ObjectStore

MARK_AGE_S = 65.0
"""Time between marking and deleting, in seconds: longer than any transaction (MongoDB's limit is 60 s)."""

LIST_BATCH = 500
"""Objects per listing request to the store."""

MAX_CONCURRENT_DELETES = 8
"""Objects that are deleted concurrently."""

DELETE_S = CLAIM_S / 2
"""Time budget for one claim, in seconds; the rest of the claim's lifetime covers requests that hang."""


@dataclass(frozen=True, slots=True)
class GcResult:
    """Number of image documents and stored objects that one pass deleted."""

    images_deleted: int
    objects_deleted: int


class GarbageCollector:
    """Runs one pass at a time. Safe beside importers of any process, and after a crash at any point."""

    def __init__(
        self,
        catalog: Catalog,
        store: ObjectStore,
        *,
        missing_for: timedelta,
        orphan_age: timedelta,
        mark_age_s: float = MARK_AGE_S,
    ) -> None:
        """Images are deleted after `missing_for`; objects without image after `orphan_age` since upload."""
        self._catalog = catalog
        self._store = store
        self._missing_for = missing_for
        self._orphan_age = orphan_age
        self._mark_age_s = mark_age_s

    async def run(self) -> GcResult:
        """Run one pass. Raises Unavailable; the next pass then continues with what is marked."""
        images_deleted = await self._delete_missing_images()
        objects_deleted = await delete_marked_objects(self._catalog, self._store, self._mark_age_s)
        if await self._mark_orphans():
            await asyncio.sleep(self._mark_age_s)
            objects_deleted += await delete_marked_objects(self._catalog, self._store, self._mark_age_s)
        return GcResult(images_deleted, objects_deleted)

    async def _delete_missing_images(self) -> int:
        missing_before, total = datetime.now(UTC) - self._missing_for, 0
        while deleted := await self._catalog.images.delete_missing(missing_before):
            total += deleted
        return total

    async def _mark_orphans(self) -> bool:
        """Mark unreferenced contents; whether there were any."""
        queue, any_marked = self._catalog.deletion_queue, False
        for bucket in Bucket:
            async for batch in self._old_objects(bucket):
                orphans = await queue.unreferenced(item.content for item in batch)
                await queue.mark([item for item in batch if item.content in orphans])
                any_marked = any_marked or bool(orphans)
        return any_marked

    async def _old_objects(self, bucket: Bucket) -> AsyncIterator[list[MarkedObject]]:
        modified_before, after = datetime.now(UTC) - self._orphan_age, ""
        while True:
            listing = await self._store.list_objects(bucket, after, LIST_BATCH)
            old = [item for item in listing if item.modified <= modified_before]
            yield [MarkedObject(bucket, item.key, item.content, item.length) for item in old if item.content]
            if len(listing) < LIST_BATCH:
                return
            after = listing[-1].key


async def delete_marked_objects(catalog: Catalog, store: ObjectStore, mark_age_s: float) -> int:
    """Delete the objects that were marked at least `mark_age_s` ago and are still unreferenced.

    Appends the deleted contents to the purge log. Returns the number of objects deleted. Raises
    Unavailable; the next call then deletes the rest.
    """
    deleted, owner = 0, secrets.token_hex(8)
    while claimed := await catalog.deletion_queue.claim(mark_age_s, owner):
        deadline = time.monotonic() + DELETE_S
        orphans = await catalog.deletion_queue.unreferenced(item.content for item in claimed.objects)
        garbage = [item for item in claimed.objects if item.content in orphans]
        for start in range(0, len(garbage), MAX_CONCURRENT_DELETES):
            if time.monotonic() > deadline:
                return deleted
            batch = garbage[start : start + MAX_CONCURRENT_DELETES]
            await asyncio.gather(*(store.delete_key(item.bucket, item.key) for item in batch))
            deleted += len(batch)
        await catalog.purge_log.append(garbage)
        await catalog.deletion_queue.unmark(claimed)
    return deleted
