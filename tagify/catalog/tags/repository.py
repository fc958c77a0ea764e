"""Tags: their counts, putting them on images and taking them off, and taking a change back."""

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
from tagify.errors import NotFound, Unavailable
from tagify.model import ImageId, LibraryId, TagUsage

CHANGE_TIMEOUT_S = 30.0
"""Deadline of one change of tags, repeats after conflicts included."""


@dataclass(frozen=True, slots=True)
class TagChangeResult:
    """What a change did, image by image, and the token that takes it back (empty where nothing changed)."""

    images: tuple[TaggedImage, ...]
    undo: str = ""

    @property
    def changed_count(self) -> int:
        """Images that have other tags than before."""
        return sum(bool(image.added or image.removed) for image in self.images)

    @property
    def added(self) -> Counter[str]:
        """For each tag that was put on, on how many images."""
        return Counter(tag for image in self.images for tag in image.added)

    @property
    def removed(self) -> Counter[str]:
        """For each tag that was taken off, of how many images."""
        return Counter(tag for image in self.images for tag in image.removed)


class TagRepository:
    """The tags of the catalog."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._tags = database.tags
        self._transactions = transactions
        self._combiner = WriteCoalescer(self._write, lambda item: item.max_images, limit=2 * BATCH)

    @property
    def write_lock(self) -> asyncio.Lock:
        """Held while tags of images change; whoever else changes many holds it too, and nobody repeats."""
        return self._combiner.lock

    @maps_driver_errors
    async def most_used(
        self, library_id: LibraryId | None = None, *, prefix: str = "", limit: int
    ) -> list[TagUsage]:
        """The most used tags of a library, or of all, that start with `prefix` in any case."""
        query = {"library_id": object_id(library_id) if library_id else None, **prefix_query(prefix)}
        cursor = self._tags.find(query, {"name": 1, "count": 1, "_id": 0})
        cursor = cursor.sort([("count", -1), ("key", 1)]).limit(limit)
        found = await cursor.batch_size(limit).to_list()  # all at once: 101 is what the server begins with
        return [TagUsage(doc["name"], doc["count"]) for doc in found]

    async def change(
        self, ids: Iterable[ImageId], add: Sequence[str], remove: Sequence[str]
    ) -> TagChangeResult:
        """Put tags on images and take tags off.

        The names are clean (`tagnames.clean`). A tag in both lists is put on. Answers for the images
        that are present, in the order asked for.

        Each BATCH of images changes together with its counts or not at all. A change that is broken
        off between two of them leaves the first ones changed, and the same change made again does the
        rest: Unavailable then tells how many have `changed` and the token that takes them back (`undo`).
        """
        signature = ChangeIdentity()
        chunks = _chunks(object_id(name) for name in dict.fromkeys(ids))
        operations = [TagChange(signature, chunk, add, remove) for chunk in chunks]
        return await self._do(operations, signature.token)

    async def undo(self, token: str) -> TagChangeResult:
        """Take a change back, on every image and tag that nobody has changed since.

        Taking it back again changes nothing. Raises NotFound where no change has this token or it was
        made more than an hour ago, Unavailable as `change` does.
        """
        records = await self._records(token)
        if not records:
            raise NotFound("there is no such change to take back: it is unknown, or more than an hour old")
        return await self._do([TagUndo(record) for record in records], "")

    @maps_driver_errors
    async def _records(self, token: str) -> list[ObjectId]:
        cursor = self._database.undos.find(unexpired_query(token), {"_id": 1}).sort("_id", 1)
        return [doc["_id"] async for doc in cursor]

    async def _do(self, operations: Iterable[TagChange | TagUndo], token: str) -> TagChangeResult:
        images: list[TaggedImage] = []
        ends = time.monotonic() + CHANGE_TIMEOUT_S
        for operation in operations:
            try:
                images += await self._combiner.submit(operation, ends - time.monotonic())
            except Unavailable as error:
                done = _changed(images, token)
                if done.changed_count:
                    raise Unavailable(error.detail, changed=done.changed_count, undo=done.undo) from error
                raise
        return _changed(images, token)

    @maps_driver_errors
    async def _write(self, operations: Sequence[TagChange | TagUndo]) -> list[list[TaggedImage]]:
        """Work a batch out and write it, in one transaction."""
        with pymongo.timeout(CHANGE_TIMEOUT_S):
            return await self._transactions.run(lambda session: self._transaction(operations, session))

    async def _transaction(
        self, operations: Sequence[TagChange | TagUndo], session: AsyncClientSession
    ) -> list[list[TaggedImage]]:
        begun = [
            await UndoRecord.mark_undone(self._database, item.record, session)
            if isinstance(item, TagUndo)
            else item
            for item in operations
        ]
        ids = [name for item in begun for name in item.ids]
        names = [name for item in begun for name in item.tag_names]
        slate = await TagUnitOfWork.load(self._database, ids, names, session)
        done = [item.apply(slate) for item in begun]
        await slate.write(self._database, session)
        if records := [record for _, record in done if record]:
            await self._database.undos.insert_many(records, session=session)
        return [outcomes for outcomes, _ in done]


def _changed(images: Sequence[TaggedImage], token: str) -> TagChangeResult:
    changed = TagChangeResult(tuple(images), token)
    return changed if changed.changed_count else TagChangeResult(changed.images)


def _chunks(ids: Iterable[ObjectId]) -> Iterator[list[ObjectId]]:
    rest = iter(ids)
    while chunk := list(islice(rest, BATCH)):
        yield chunk
