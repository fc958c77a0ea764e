"""What ingest asks of images, and the batches in which it writes them; one image for whoever asks."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pymongo
from bson import ObjectId
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.counters import CounterDeltas, load_spellings
from tagify.catalog.database import Database
from tagify.catalog.deletion_queue import marked_contents
from tagify.catalog.errors import maps_driver_errors
from tagify.catalog.images.commands import ImageCommand, MarkMissing, MoveImage, UpsertImage
from tagify.catalog.images.unit_of_work import ImageUnitOfWork
from tagify.catalog.leases import FencingTokens, enforce_fences
from tagify.catalog.mapping import ENTRY_FIELDS, PRESENT, entry_from_doc, image_from_doc, object_id, to_signed
from tagify.catalog.transactions import Transactions
from tagify.model import CatalogEntry, Content, Image, ImageId, ImageState, LibraryId, OriginalInfo

BATCH_TIMEOUT_S = 60.0
"""Deadline of one batch of writes, repeats after conflicts included."""

PAGE_SIZE = 2000
"""Images that are fetched at once to be compared with a folder."""

DELETE_BATCH = 500
"""Images that are forgotten at once."""

MAX_CONTENT_MATCHES = 100
"""Images of one content that are looked at for one that has left its place."""

# "/" is followed by "0": all paths below a folder lie between the two.
_AFTER_SLASH = chr(ord("/") + 1)


class ImageRepository:
    """The images of the catalog."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._images = database.images
        self._transactions = transactions

    @maps_driver_errors
    async def get(self, image_id: ImageId) -> Image | None:
        """The image, in whatever state, or None. Raises Unavailable."""
        doc = await self._images.find_one({"_id": object_id(image_id)})
        return image_from_doc(doc) if doc else None

    @maps_driver_errors
    async def original_info(self, content: Content) -> OriginalInfo | None:
        """Length, type and width of a content that some image has, or None. Raises Unavailable."""
        doc = await self._images.find_one({"content": content}, {"size": 1, "mime": 1, "width": 1, "_id": 0})
        return OriginalInfo(doc["size"], doc["mime"], doc.get("width") or 0) if doc else None

    @maps_driver_errors
    async def by_paths(self, library_id: LibraryId, paths: Sequence[str]) -> dict[str, CatalogEntry]:
        """What is present at these paths. Raises Unavailable."""
        query = {"library_id": object_id(library_id), "path": {"$in": list(paths)}, **PRESENT}
        found = await self._images.find(query, ENTRY_FIELDS).to_list(None)
        return {doc["path"]: entry_from_doc(doc) for doc in found}

    @maps_driver_errors
    async def list_below(
        self, library_id: LibraryId, folder: str, *, after: str = "", limit: int = PAGE_SIZE
    ) -> list[CatalogEntry]:
        """Up to `limit` present images below a folder (`""`: the whole library), in order of path.

        `after`: only those behind this path. Raises Unavailable.
        """
        bounds = {"$gt": after}
        if folder:
            bounds = {"$gt": after or f"{folder}/", "$lt": f"{folder}{_AFTER_SLASH}"}
        query = {"library_id": object_id(library_id), "path": bounds, **PRESENT}
        found = await self._images.find(query, ENTRY_FIELDS).sort("path", 1).limit(limit).to_list()
        return [entry_from_doc(doc) for doc in found]

    @maps_driver_errors
    async def by_inodes(self, inodes: Sequence[int]) -> list[CatalogEntry]:
        """All images, missing ones too, whose file had one of these inodes. Raises Unavailable."""
        query = {"inode": {"$in": [to_signed(inode) for inode in inodes]}}
        return [entry_from_doc(doc) async for doc in self._images.find(query, ENTRY_FIELDS)]

    @maps_driver_errors
    async def by_content(self, content: Content) -> list[CatalogEntry]:
        """Images of these bytes, missing ones too: at most TWINS of them. Raises Unavailable."""
        cursor = self._images.find({"content": content}, ENTRY_FIELDS).limit(MAX_CONTENT_MATCHES)
        return [entry_from_doc(doc) for doc in await cursor.to_list()]

    @maps_driver_errors
    async def delete_missing(self, before: datetime) -> int:
        """Forget some images that have been missing since before then; how many. Raises Unavailable."""
        query = {"state": ImageState.MISSING.value, "missing_since": {"$lt": before}}
        found = [doc["_id"] async for doc in self._images.find(query, {"_id": 1}).limit(DELETE_BATCH)]
        if found:
            await self._images.delete_many({"_id": {"$in": found}, **query})
        return len(found)

    @maps_driver_errors
    async def write(
        self, writes: Sequence[ImageCommand], fences: FencingTokens | None = None
    ) -> set[Content]:
        """Work a batch in: documents and counts in one transaction, durable on return.

        `fences` are the leases under which it is written. Returns the contents that are condemned,
        whose stores were left out. Raises Unavailable, LeaseLost, and CatalogError where one of the
        batch is refused: then nothing of it is written.
        """
        with pymongo.timeout(BATCH_TIMEOUT_S):
            return await self._transactions.run(lambda session: self._write(writes, fences or {}, session))

    async def _write(
        self, writes: Sequence[ImageCommand], fences: FencingTokens, session: AsyncClientSession
    ) -> set[Content]:
        await enforce_fences(self._database, fences, session)
        contents = {write.content for write in writes if isinstance(write, UpsertImage) and write.content}
        refused = await marked_contents(self._database, contents, session)
        allowed = [
            write for write in writes if not (isinstance(write, UpsertImage) and write.content in refused)
        ]
        await self._apply(allowed, session)
        return refused

    async def _apply(self, writes: Sequence[ImageCommand], session: AsyncClientSession) -> None:
        docs = await self._touched(writes, session)
        names = {name for doc in docs for name in doc.get("kept_tags", ())}
        names |= {
            name
            for write in writes
            if isinstance(write, UpsertImage) and write.picture
            for name in write.picture.keywords
        }
        slate = ImageUnitOfWork(docs, await load_spellings(self._database, names, session), datetime.now(UTC))
        for write in writes:
            slate.apply(write)
        tallies = CounterDeltas()
        for before, after in slate.changed_documents():
            tallies.record(before, after)
        for operations in (slate.release_paths(), slate.final_writes()):
            if operations:
                await self._images.bulk_write(operations, ordered=False, session=session)
        await tallies.apply(self._database, session)

    async def _touched(
        self, writes: Sequence[ImageCommand], session: AsyncClientSession
    ) -> list[dict[str, Any]]:
        """The documents that these writes speak of: by id, by path, and missing ones by content."""
        queries: list[dict[str, Any]] = []
        ids = [object_id(write.id) for write in writes if isinstance(write, MarkMissing)]
        ids += [object_id(write.entry.id) for write in writes if isinstance(write, MoveImage)]
        ids += [
            object_id(write.moved_from.id)
            for write in writes
            if isinstance(write, UpsertImage) and write.moved_from
        ]
        if ids:
            queries.append({"_id": {"$in": ids}})
        paths: dict[ObjectId, list[str]] = {}
        for write in writes:
            if isinstance(write, UpsertImage | MoveImage):
                paths.setdefault(object_id(write.library_id), []).append(write.file.path)
        queries += [
            {"library_id": library, "path": {"$in": found}, **PRESENT} for library, found in paths.items()
        ]
        if contents := {
            write.content for write in writes if isinstance(write, UpsertImage) and write.content
        }:
            queries.append({"content": {"$in": sorted(contents)}, "state": ImageState.MISSING.value})
        docs: dict[ObjectId, dict[str, Any]] = {}
        for query in queries:
            docs |= {doc["_id"]: doc async for doc in self._images.find(query, session=session)}
        return list(docs.values())
