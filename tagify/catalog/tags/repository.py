"""Tags: most used ones, changes on images, and undo."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import pymongo
from bson import ObjectId
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.autocomplete import prefix_query
from tagify.catalog.database import Database
from tagify.catalog.errors import maps_driver_errors
from tagify.catalog.mapping import object_id
from tagify.catalog.tags.edits import TaggedImage
from tagify.catalog.tags.operations import BATCH, TagChange, TagUndo, UndoRecord
from tagify.catalog.tags.undo_log import ChangeIdentity, unexpired_query
from tagify.catalog.tags.unit_of_work import TagUnitOfWork
from tagify.catalog.tags.write_coalescer import WriteCoalescer
from tagify.catalog.transactions import Transactions
from tagify.errors import NotFound, TooManyTags, Unavailable
from tagify.model import ImageId, LibraryId, TagUsage

CHANGE_TIMEOUT_S = 30.0
"""Deadline of one change of tags in seconds, including retries after write conflicts."""


@dataclass(frozen=True, slots=True)
class TagChangeResult:
    """The result of a change for each image, and the undo token (empty if nothing changed)."""

    images: tuple[TaggedImage, ...]
    undo: str = ""

    @property
    def changed_count(self) -> int:
        """Number of images whose tags changed."""
        return sum(bool(image.added or image.removed) for image in self.images)

    @property
    def added(self) -> Counter[str]:
        """Number of images per added tag."""
        return Counter(tag for image in self.images for tag in image.added)

    @property
    def removed(self) -> Counter[str]:
        """Number of images per removed tag."""
        return Counter(tag for image in self.images for tag in image.removed)


class TagRepository:
    """Tag counts and tag changes."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._tags = database.tags
        self._transactions = transactions
        self._coalescer = WriteCoalescer(
            self._write_batch, lambda operation: operation.max_images, max_weight=2 * BATCH
        )

    @property
    def write_lock(self) -> asyncio.Lock:
        """Held while tags are written. Other writers acquire it too, to avoid write conflicts."""
        return self._coalescer.lock

    @maps_driver_errors
    async def most_used(
        self, library_id: LibraryId | None = None, *, prefix: str = "", limit: int
    ) -> list[TagUsage]:
        """The most used tags of a library, or of all, that start with `prefix` in any case."""
        query = {"library_id": object_id(library_id) if library_id else None, **prefix_query(prefix)}
        cursor = self._tags.find(query, {"name": 1, "count": 1, "_id": 0})
        cursor = cursor.sort([("count", -1), ("key", 1)]).limit(limit)
        # In one batch: the server's default first batch has 101 documents.
        docs = await cursor.batch_size(limit).to_list()
        return [TagUsage(doc["name"], doc["count"]) for doc in docs]

    async def change(
        self, ids: Iterable[ImageId], add: Sequence[str], remove: Sequence[str]
    ) -> TagChangeResult:
        """Add and remove tags on images. Idempotent.

        The names must be normalised (`tagnames.normalize_tag`). A tag in both lists is added. The
        result has those images that are present, in the given order.

        Each BATCH of images is written with its counts atomically. If a later batch fails, earlier ones
        stay changed, and repeating the change does the rest: Unavailable then has the number of images
        `changed` and their undo token (`undo`).

        Raises TooManyTags, with the same two members, if an image would have too many tags: nothing of
        its batch is changed.
        """
        identity = ChangeIdentity()
        batches = _batches(object_id(image_id) for image_id in dict.fromkeys(ids))
        operations = [TagChange(identity, batch, add, remove) for batch in batches]
        return await self._submit(operations, identity.undo_token)

    async def undo(self, token: str) -> TagChangeResult:
        """Undo a change, on every image and tag that no later change touched. Idempotent.

        Raises NotFound if the token is unknown or more than an hour old, Unavailable and TooManyTags as
        `change` does.
        """
        records = await self._undo_records(token)
        if not records:
            raise NotFound("nothing to undo: the change is unknown, or more than an hour old")
        return await self._submit([TagUndo(record) for record in records], "")

    @maps_driver_errors
    async def _undo_records(self, token: str) -> list[ObjectId]:
        cursor = self._database.undos.find(unexpired_query(token), {"_id": 1}).sort("_id", 1)
        return [doc["_id"] async for doc in cursor]

    async def _submit(self, operations: Iterable[TagChange | TagUndo], token: str) -> TagChangeResult:
        images: list[TaggedImage] = []
        deadline = time.monotonic() + CHANGE_TIMEOUT_S
        for operation in operations:
            try:
                outcome = await self._coalescer.submit(operation, deadline - time.monotonic())
                if isinstance(outcome, TooManyTags):
                    raise outcome
                images += outcome
            except (Unavailable, TooManyTags) as error:
                partial = _result(images, token)
                if partial.changed_count:
                    failure = type(error)(error.detail)
                    failure.extra = {
                        **error.extra,
                        "changed": partial.changed_count,
                        "undo": partial.undo,
                    }
                    raise failure from error
                raise
        return _result(images, token)

    @maps_driver_errors
    async def _write_batch(self, operations: Sequence[TagChange | TagUndo]) -> list["_Outcome"]:
        """Apply and write a batch in one transaction."""
        with pymongo.timeout(CHANGE_TIMEOUT_S):
            return await self._transactions.run(lambda session: self._transaction(operations, session))

    async def _transaction(
        self, operations: Sequence[TagChange | TagUndo], session: AsyncClientSession
    ) -> list["_Outcome"]:
        loaded = [
            await UndoRecord.mark_undone(self._database, operation.record, session)
            if isinstance(operation, TagUndo)
            else operation
            for operation in operations
        ]
        ids = [image_id for operation in loaded for image_id in operation.ids]
        names = [name for operation in loaded for name in operation.tag_names]
        unit_of_work = await TagUnitOfWork.load(self._database, ids, names, session)
        outcomes: list[_Outcome] = []
        records = []
        for operation in loaded:
            try:
                tagged_images, record = operation.apply(unit_of_work)
            except TooManyTags as error:
                # This operation changed nothing; the other clients' operations of the batch are written.
                outcomes.append(error)
            else:
                outcomes.append(tagged_images)
                records += [record] if record else []
        await unit_of_work.write(self._database, session)
        if records:
            await self._database.undos.insert_many(records, session=session)
        await self._unmark_refused_undos(operations, outcomes, session)
        return outcomes

    async def _unmark_refused_undos(
        self,
        operations: Sequence[TagChange | TagUndo],
        outcomes: Sequence["_Outcome"],
        session: AsyncClientSession,
    ) -> None:
        """Let those undos be repeated that were refused, once tags have been removed."""
        refused = [
            operation.record
            for operation, outcome in zip(operations, outcomes, strict=True)
            if isinstance(operation, TagUndo) and isinstance(outcome, TooManyTags)
        ]
        if refused:
            query = {"_id": {"$in": refused}}
            await self._database.undos.update_many(query, {"$set": {"undone": False}}, session=session)


_Outcome = list[TaggedImage] | TooManyTags
"""The images of an operation, or why it was refused."""


def _result(images: Sequence[TaggedImage], token: str) -> TagChangeResult:
    result = TagChangeResult(tuple(images), token)
    return result if result.changed_count else TagChangeResult(result.images)


def _batches(ids: Iterable[ObjectId]) -> Iterator[list[ObjectId]]:
    remaining = iter(ids)
    while batch := list(islice(remaining, BATCH)):
        yield batch
