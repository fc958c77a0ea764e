"""Tags: their counts, putting them on images and taking them off, and taking a change back."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import pymongo
from bson import ObjectId
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.completion import beginning_with
from tagify.catalog.documents import object_id
from tagify.catalog.failures import translated
from tagify.catalog.indexes import Database
from tagify.catalog.retag import Retagging, Tagged, logged, retag, take_back, unlogged
from tagify.catalog.tagwrites import CHUNK, TagWrites, present
from tagify.catalog.tallies import spelling
from tagify.catalog.transactions import Transactions
from tagify.catalog.undo import Signature, record, steps, still_good
from tagify.errors import NotFound, Unavailable
from tagify.model import ImageId, LibraryId, TagCount
from tagify.tagnames import key_of

T = TypeVar("T")

CHANGE_TIMEOUT_S = 30.0
"""Deadline of one change of tags, repeats after conflicts included."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did, image by image, and the token that takes it back (empty where nothing changed)."""

    images: tuple[Tagged, ...]
    undo: str = ""

    @property
    def number(self) -> int:
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


class Tags:
    """The tags of the catalog."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._tags = database.tags
        self._undos = database.undos
        self._transactions = transactions

    @translated
    async def counts(
        self, library_id: LibraryId | None = None, *, prefix: str = "", limit: int
    ) -> list[TagCount]:
        """The most used tags of a library, or of all, that start with `prefix` in any case."""
        query = {"library_id": object_id(library_id) if library_id else None, **beginning_with(prefix)}
        cursor = self._tags.find(query, {"name": 1, "count": 1, "_id": 0})
        found = await cursor.sort([("count", -1), ("key", 1)]).limit(limit).to_list()
        return [TagCount(doc["name"], doc["count"]) for doc in found]

    async def change(self, ids: Iterable[ImageId], add: Sequence[str], remove: Sequence[str]) -> Changed:
        """Put tags on images and take tags off.

        The names are clean (`tagnames.clean`). A tag in both lists is put on. Answers for the images
        that are present, in the order asked for.

        Each CHUNK of images changes together with its counts or not at all. A change that is broken
        off between two of them leaves the first ones changed, and the same change made again does the
        rest: Unavailable then tells how many have `changed` and the token that takes them back (`undo`).
        """
        signature = Signature()
        chunks = _chunks(object_id(name) for name in dict.fromkeys(ids))
        return await self._in_chunks(
            signature.token,
            chunks,
            lambda chunk, session: self._change(signature, chunk, add, remove, session),
        )

    async def undo(self, token: str) -> Changed:
        """Take a change back, on every image and tag that nobody has changed since.

        Taking it back again changes nothing. Raises NotFound where no change has this token or it was
        made more than an hour ago, Unavailable as `change` does.
        """
        records = await self._records(token)
        if not records:
            raise NotFound("there is no such change to take back: it is unknown, or more than an hour old")
        return await self._in_chunks("", records, self._undo)

    async def _in_chunks(
        self,
        token: str,
        chunks: Iterable[T],
        work: Callable[[T, AsyncClientSession], Any],
    ) -> Changed:
        images: list[Tagged] = []
        with pymongo.timeout(CHANGE_TIMEOUT_S):
            for chunk in chunks:
                try:
                    images += await self._transaction(chunk, work)
                except Unavailable as error:
                    done = _changed(images, token)
                    if done.number:
                        raise Unavailable(error.detail, changed=done.number, undo=done.undo) from error
                    raise
        return _changed(images, token)

    @translated
    async def _transaction(self, chunk: T, work: Callable[[T, AsyncClientSession], Any]) -> list[Tagged]:
        return await self._transactions.run(lambda session: work(chunk, session))

    async def _change(
        self,
        signature: Signature,
        ids: Sequence[ObjectId],
        add: Sequence[str],
        remove: Sequence[str],
        session: AsyncClientSession,
    ) -> list[Tagged]:
        known = await spelling(self._database, [*add, *remove], session)
        adding = known.all(add)
        docs = await present(self._database, ids, session)
        changes = {name: retag(docs[name]["tags"], adding, remove) for name in ids if name in docs}
        changed = {name: change for name, change in changes.items() if change}
        writes = TagWrites()
        for name, change in changed.items():
            writes.note(docs[name], change.tags, logged(docs[name], signature.by, _keys(change)))
        if changed:
            await writes.apply(self._database, session)
            await self._undos.insert_one(record(signature, changed), session=session)
        return [change.told(name) for name, change in changes.items()]

    @translated
    async def _records(self, token: str) -> list[ObjectId]:
        cursor = self._undos.find(still_good(token), {"_id": 1}).sort("_id", 1)
        return [doc["_id"] async for doc in cursor]

    async def _undo(self, name: ObjectId, session: AsyncClientSession) -> list[Tagged]:
        doc = await self._undos.find_one_and_update(
            {"_id": name, "undone": False}, {"$set": {"undone": True}}, session=session
        )
        if doc is None:
            return []
        done = steps(doc)
        docs = await present(self._database, done, session)
        known = await spelling(self._database, doc["names"], session)
        writes, outcomes = TagWrites(), []
        for image in docs:
            removed = [(place, known.of(tag)) for place, tag in done[image].removed]
            change = take_back(docs[image], doc["by"], done[image].added, removed)
            outcomes.append(change.told(image))
            if change:
                writes.note(docs[image], change.tags, unlogged(docs[image], doc["by"]))
        await writes.apply(self._database, session)
        return outcomes


def _changed(images: Sequence[Tagged], token: str) -> Changed:
    changed = Changed(tuple(images), token)
    return changed if changed.number else Changed(changed.images)


def _keys(change: Retagging) -> list[str]:
    return [key_of(tag) for tag in (*change.added, *(tag for _, tag in change.removed))]


def _chunks(ids: Iterable[ObjectId]) -> Iterator[list[ObjectId]]:
    rest = iter(ids)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
