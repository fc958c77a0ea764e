"""Removes a library: first its images and their counts, then the stored objects without an image."""

import asyncio
import logging
from collections.abc import Iterator

from tagify.catalog import Catalog, MarkedObject
from tagify.concurrency.retry import retry_while_unavailable
from tagify.gc import delete_marked_objects
from tagify.logs import fields
from tagify.model import Bucket, Content, Library
from tagify.storage.store import ObjectStore

logger = logging.getLogger(__name__)

MARK_CHECK_INTERVAL_S = 1.0
"""Time between two checks for objects that have been marked for long enough, in seconds."""


class LibraryRemover:
    """Removes libraries, each under its lease. After a crash, another run resumes the removal."""

    def __init__(self, catalog: Catalog, store: ObjectStore, *, mark_age_s: float) -> None:
        self._catalog = catalog
        self._store = store
        self._mark_age_s = mark_age_s

    async def run(self, library: Library, token: int) -> None:
        """Delete everything of the library but its files. Raises LeaseLost."""
        removal, fences = self._catalog.library_removal, {library.id: token}
        await retry_while_unavailable("catalog", lambda: removal.begin(library.id))
        while await retry_while_unavailable(
            "catalog", lambda: removal.delete_image_batch(library.id, fences, self._objects_of)
        ):
            pass
        while await retry_while_unavailable("catalog", lambda: removal.count_objects_left(library.id)):
            if not await retry_while_unavailable("objects", self._delete_marked_objects):
                await asyncio.sleep(MARK_CHECK_INTERVAL_S)
        await retry_while_unavailable("catalog", lambda: removal.delete_library(library.id))
        logger.info("library removed", extra=fields(library=library.name, path=library.path))

    async def _delete_marked_objects(self) -> int:
        return await delete_marked_objects(self._catalog, self._store, self._mark_age_s)

    def _objects_of(self, content: Content, length: int) -> Iterator[MarkedObject]:
        yield MarkedObject(
            Bucket.ORIGINALS, self._store.object_key(Bucket.ORIGINALS, content), content, length
        )
        yield MarkedObject(Bucket.THUMBS, self._store.object_key(Bucket.THUMBS, content), content)
