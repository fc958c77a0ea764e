"""Forgets images that have been missing for long, and removes objects that no image refers to."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tagify.catalog import Catalog, StoredObject
from tagify.catalog.deletion_queue import CLAIM_S
from tagify.model import Bucket
from tagify.storage.store import ObjectStore

MARK_AGE_S = 65.0
"""Time from condemning to removing, in seconds: longer than a transaction lives (MongoDB's limit is 60 s)."""

CHUNK = 500

AT_ONCE = 8
"""Objects that are removed at the same time."""

WORK_S = CLAIM_S / 2
"""Longest work on what was claimed, in seconds; the rest of the claim is for requests that hang."""


@dataclass(frozen=True, slots=True)
class GcResult:
    """What a pass did: images forgotten, objects removed."""

    images_deleted: int
    objects_deleted: int


class GarbageCollector:
    """One pass at a time. Safe beside importers of any process, and after a crash at any moment."""

    def __init__(
        self,
        catalog: Catalog,
        blobs: ObjectStore,
        *,
        missing_for: timedelta,
        orphan_age: timedelta,
        mark_age_s: float = MARK_AGE_S,
    ) -> None:
        """`forget`: how long an image is missing before it is forgotten; `grace`: the age of an orphan."""
        self._catalog = catalog
        self._blobs = blobs
        self._forget = missing_for
        self._grace = orphan_age
        self._condemned_s = mark_age_s

    async def run(self) -> GcResult:
        """One pass. Raises Unavailable; what was begun is finished by the next pass."""
        forgotten = await self._forget_missing()
        removed = await delete_marked_objects(self._catalog, self._blobs, self._condemned_s)
        if await self._condemn():
            await asyncio.sleep(self._condemned_s)
            removed += await delete_marked_objects(self._catalog, self._blobs, self._condemned_s)
        return GcResult(forgotten, removed)

    async def _forget_missing(self) -> int:
        before, forgotten = datetime.now(UTC) - self._forget, 0
        while number := await self._catalog.images.delete_missing(before):
            forgotten += number
        return forgotten

    async def _condemn(self) -> bool:
        """Whether any content was condemned."""
        found = False
        for bucket in Bucket:
            async for chunk in self._old_objects(bucket):
                orphans = await self._catalog.deletion_queue.unreferenced(item.content for item in chunk)
                await self._catalog.deletion_queue.mark([item for item in chunk if item.content in orphans])
                found = found or bool(orphans)
        return found

    async def _old_objects(self, bucket: Bucket) -> AsyncIterator[list[StoredObject]]:
        before, after = datetime.now(UTC) - self._grace, ""
        while True:
            listing = await self._blobs.listed(bucket, after, CHUNK)
            old = [item for item in listing if item.modified <= before]
            yield [StoredObject(bucket, item.key, item.content, item.length) for item in old if item.content]
            if len(listing) < CHUNK:
                return
            after = listing[-1].key


async def delete_marked_objects(catalog: Catalog, blobs: ObjectStore, age_s: float) -> int:
    """Remove the objects of what was condemned so long ago and is still not referred to; how many.

    What is gone is noted for those who keep copies. Raises Unavailable; what is left then is removed
    by whoever comes next.
    """
    removed, by = 0, secrets.token_hex(8)
    while objects := await catalog.deletion_queue.claim(age_s, by):
        ends = time.monotonic() + WORK_S
        orphans = await catalog.deletion_queue.unreferenced(item.content for item in objects)
        doomed = [item for item in objects if item.content in orphans]
        for start in range(0, len(doomed), AT_ONCE):
            if time.monotonic() > ends:
                return removed
            some = doomed[start : start + AT_ONCE]
            await asyncio.gather(*(blobs.remove_key(item.bucket, item.key) for item in some))
            removed += len(some)
        await catalog.purge_log.append(doomed)
        await catalog.deletion_queue.unmark((item.content for item in objects), by)
    return removed
