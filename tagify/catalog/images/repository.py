"""Image documents: lookups by id, path, inode and content, and batches of image commands."""

from collections.abc import Iterator, Sequence
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
from tagify.catalog.images.unit_of_work import ImageUnitOfWork, uncounted_tags
from tagify.catalog.leases import FencingTokens, enforce_fences
from tagify.catalog.mapping import (
    ENTRY_FIELDS,
    PRESENT,
    entry_from_doc,
    image_from_doc,
    object_id,
    to_signed,
)
from tagify.catalog.transactions import Transactions
from tagify.model import CatalogEntry, Content, Image, ImageId, ImageState, LibraryId, OriginalInfo

BATCH_TIMEOUT_S = 60.0
"""Deadline of writing one batch in seconds, including retries after write conflicts."""

PAGE_SIZE = 2000
"""Default number of images per `list_below` call."""

DELETE_BATCH = 500
"""Maximum number of images that one `delete_missing` call deletes."""

LOOKUP_BATCH = 1000
"""Ids that one query looks up."""

MAX_CONTENT_MATCHES = 100
"""Maximum number of images of one content that are considered when a file has moved."""

# "/" is followed by "0" in ASCII: all paths below a folder lie between the two.
_AFTER_SLASH = chr(ord("/") + 1)

Doc = dict[str, Any]


class ImageRepository:
    """The image documents."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._images = database.images
        self._transactions = transactions

    @maps_driver_errors
    async def get(self, image_id: ImageId) -> Image | None:
        """The image in any state, or None. Raises Unavailable."""
        doc = await self._images.find_one({"_id": object_id(image_id)})
        return image_from_doc(doc) if doc else None

    @maps_driver_errors
    async def original_info(self, content: Content) -> OriginalInfo | None:
        """Length, media type and width of a content; None if no decoded image has it. Raises Unavailable."""
        query = {"content": content, "mime": {"$ne": ""}}
        doc = await self._images.find_one(query, {"size": 1, "mime": 1, "width": 1, "_id": 0})
        return OriginalInfo(doc["size"], doc["mime"], doc.get("width") or 0) if doc else None

    @maps_driver_errors
    async def by_paths(self, library_id: LibraryId, paths: Sequence[str]) -> dict[str, CatalogEntry]:
        """The present images at these paths, by path. Raises Unavailable."""
        query = {"library_id": object_id(library_id), "path": {"$in": list(paths)}, **PRESENT}
        docs = await self._images.find(query, ENTRY_FIELDS).to_list(None)
        return {doc["path"]: entry_from_doc(doc) for doc in docs}

    @maps_driver_errors
    async def list_below(
        self, library_id: LibraryId, folder: str, *, after: str = "", limit: int = PAGE_SIZE
    ) -> list[CatalogEntry]:
        """Up to `limit` present images below a folder (`""`: the whole library), sorted by path.

        `after`: only images whose path sorts after this one. Raises Unavailable.
        """
        bounds = {"$gt": after}
        if folder:
            bounds = {"$gt": after or f"{folder}/", "$lt": f"{folder}{_AFTER_SLASH}"}
        query = {"library_id": object_id(library_id), "path": bounds, **PRESENT}
        docs = await self._images.find(query, ENTRY_FIELDS).sort("path", 1).limit(limit).to_list()
        return [entry_from_doc(doc) for doc in docs]

    @maps_driver_errors
    async def by_inodes(self, inodes: Sequence[int]) -> list[CatalogEntry]:
        """All images, including missing ones, whose file had one of these inodes. Raises Unavailable."""
        query = {"inode": {"$in": [to_signed(inode) for inode in inodes]}}
        return [entry_from_doc(doc) async for doc in self._images.find(query, ENTRY_FIELDS)]

    @maps_driver_errors
    async def still_missing(self, image_ids: Sequence[ImageId]) -> set[ImageId]:
        """Those of these images that are missing or deleted. Raises Unavailable."""
        missing = set(image_ids)
        for start in range(0, len(image_ids), LOOKUP_BATCH):
            ids = [object_id(image_id) for image_id in image_ids[start : start + LOOKUP_BATCH]]
            query = {"_id": {"$in": ids}, **PRESENT}
            missing -= {ImageId(str(doc["_id"])) async for doc in self._images.find(query, {"_id": 1})}
        return missing

    @maps_driver_errors
    async def by_content(self, content: Content) -> list[CatalogEntry]:
        """Up to MAX_CONTENT_MATCHES images of a content, including missing ones. Raises Unavailable."""
        cursor = self._images.find({"content": content}, ENTRY_FIELDS).limit(MAX_CONTENT_MATCHES)
        return [entry_from_doc(doc) for doc in await cursor.to_list()]

    @maps_driver_errors
    async def delete_missing(self, before: datetime) -> int:
        """Delete up to DELETE_BATCH images missing since before then; their number. Raises Unavailable."""
        query = {"state": ImageState.MISSING.value, "missing_since": {"$lt": before}}
        ids = [doc["_id"] async for doc in self._images.find(query, {"_id": 1}).limit(DELETE_BATCH)]
        if ids:
            await self._images.delete_many({"_id": {"$in": ids}, **query})
        return len(ids)

    @maps_driver_errors
    async def write(
        self, commands: Sequence[ImageCommand], fences: FencingTokens | None = None
    ) -> set[Content]:
        """Apply a batch: documents and counts in one transaction, durable on return.

        `fences` are the leases under which it is written. Returns the contents that are marked for
        deletion, whose UpsertImage commands were skipped. Raises Unavailable, LeaseLost, and
        CatalogError if MongoDB refuses one command: then nothing of the batch is written.
        """
        with pymongo.timeout(BATCH_TIMEOUT_S):
            return await self._transactions.run(lambda session: self._write(commands, fences or {}, session))

    async def _write(
        self, commands: Sequence[ImageCommand], fences: FencingTokens, session: AsyncClientSession
    ) -> set[Content]:
        await enforce_fences(self._database, fences, session)
        contents = {command.content for command in _upserts(commands) if command.content}
        marked = await marked_contents(self._database, contents, session)
        allowed = [
            command
            for command in commands
            if not (isinstance(command, UpsertImage) and command.content in marked)
        ]
        await self._apply(allowed, session)
        return marked

    async def _apply(self, commands: Sequence[ImageCommand], session: AsyncClientSession) -> None:
        docs = await self._load_documents(commands, session)
        tags = {tag for doc in docs for tag in uncounted_tags(doc)}
        tags |= {tag for command in _upserts(commands) if command.picture for tag in command.picture.keywords}
        spellings = await load_spellings(self._database, tags, session)
        unit_of_work = ImageUnitOfWork(docs, spellings, datetime.now(UTC))
        for command in commands:
            unit_of_work.apply(command)
        deltas = CounterDeltas()
        for before, after in unit_of_work.changed_documents():
            deltas.record(before, after)
        for operations in (unit_of_work.release_paths(), unit_of_work.final_writes()):
            if operations:
                await self._images.bulk_write(operations, ordered=False, session=session)
        await deltas.apply(self._database, session)

    async def _load_documents(
        self, commands: Sequence[ImageCommand], session: AsyncClientSession
    ) -> list[Doc]:
        docs: dict[ObjectId, Doc] = {}
        for query in _document_queries(commands):
            docs |= {doc["_id"]: doc async for doc in self._images.find(query, session=session)}
        return list(docs.values())


def _upserts(commands: Sequence[ImageCommand]) -> Iterator[UpsertImage]:
    return (command for command in commands if isinstance(command, UpsertImage))


def _document_queries(commands: Sequence[ImageCommand]) -> Iterator[Doc]:
    """The queries for all documents that these commands touch: by id, by path, missing ones by content."""
    ids = [object_id(command.id) for command in commands if isinstance(command, MarkMissing)]
    ids += [object_id(command.entry.id) for command in commands if isinstance(command, MoveImage)]
    ids += [object_id(command.moved_from.id) for command in _upserts(commands) if command.moved_from]
    ids += [object_id(image_id) for command in _upserts(commands) for image_id in command.tags_from]
    if ids:
        yield {"_id": {"$in": ids}}
    paths_by_library: dict[ObjectId, list[str]] = {}
    for command in commands:
        if isinstance(command, UpsertImage | MoveImage):
            paths_by_library.setdefault(object_id(command.library_id), []).append(command.file.path)
    for library, paths in paths_by_library.items():
        yield {"library_id": library, "path": {"$in": paths}, **PRESENT}
    if contents := {command.content for command in _upserts(commands) if command.content}:
        yield {"content": {"$in": sorted(contents)}, "state": ImageState.MISSING.value}
