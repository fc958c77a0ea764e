"""A tag becomes another on some images, in one transaction: the step of which a rename is made.

Where the two differ in case only it is one tag, which is spelt anew: its counts are the same, their
names change at once, and step by step those on the images. Until that is done the counts tell how else
the tag may be spelt (`respelling`), and lists look for that too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.counters import load_spellings, spellings_in_use
from tagify.catalog.database import Database
from tagify.catalog.mapping import PRESENT
from tagify.catalog.tags.edits import log_with_keys
from tagify.catalog.tags.unit_of_work import PROJECTION, TagUnitOfWork
from tagify.model import ImageState
from tagify.tagnames import TagSpellings, tag_key

STEP_SIZE = 500
"""Images in one step, at most."""


@dataclass(frozen=True, slots=True)
class RenameStep:
    """What becomes what, where (None: in all libraries), and the id by which the images' logs know it.

    `sources` are the spellings of one tag.
    """

    by: ObjectId
    sources: frozenset[str]
    target: str
    library: ObjectId | None

    @property
    def only_respells(self) -> bool:
        """Whether source and target are one tag."""
        return tag_key(min(self.sources)) == tag_key(self.target)

    async def run(self, database: Database, session: AsyncClientSession) -> tuple[int, frozenset[str]]:
        """Images that have changed (0 once none carries the tag any more), and the spellings found so far."""
        step = replace(self, sources=self.sources | await self._respell(database, session))
        changed = await step._replace(database, session)
        if not changed and step.only_respells:
            query = {"key": tag_key(step.target), "respelling": {"$exists": True}}
            await database.tags.update_many(query, {"$unset": {"respelling": ""}}, session=session)
        return changed, step.sources

    async def _respell(self, database: Database, session: AsyncClientSession) -> set[str]:
        """How the source is spelt now; where the target is the same tag, its counts are spelt like it."""
        query = {"key": tag_key(min(self.sources))}
        cursor = database.tags.find(query, {"name": 1, "respelling": 1}, session=session)
        docs = await cursor.to_list()
        found = {name for doc in docs for name in spellings_in_use(doc)}
        if self.only_respells and any(doc["name"] != self.target for doc in docs):
            now = {"name": self.target, "respelling": sorted(found | self.sources)}
            await database.tags.update_many(query, {"$set": now}, session=session)
        return found

    async def _replace(self, database: Database, session: AsyncClientSession) -> int:
        known = (
            TagSpellings({}) if self.only_respells else await load_spellings(database, [self.target], session)
        )
        return await self._present(database, known, session) or await self._missing(database, known, session)

    async def _present(self, database: Database, known: TagSpellings, session: AsyncClientSession) -> int:
        query = {**self._carriers("tags"), **PRESENT}
        docs = await database.images.find(query, PROJECTION, session=session).limit(STEP_SIZE).to_list()
        slate = TagUnitOfWork({doc["_id"]: doc for doc in docs}, known)
        keys = {tag_key(min(self.sources)), tag_key(self.target)}
        for doc in docs:
            # Respelling a tag changes nothing that a later undo would have to respect.
            log = doc.get("tag_log", []) if self.only_respells else log_with_keys(doc, self.by, keys)
            slate.set_tags(doc["_id"], self._replaced(doc["tags"], known), log)
        await slate.write(database, session)
        return len(docs)

    async def _missing(self, database: Database, known: TagSpellings, session: AsyncClientSession) -> int:
        """Images whose file has gone keep their tags for the day it comes back."""
        query = {**self._carriers("kept_tags"), "state": ImageState.MISSING.value}
        cursor = database.images.find(query, {"kept_tags": 1}, session=session)
        docs = await cursor.limit(STEP_SIZE).to_list()
        now = datetime.now(UTC)
        updates = []
        for doc in docs:
            fields = {"kept_tags": self._replaced(doc["kept_tags"], known), "updated_at": now}
            updates.append(UpdateOne({"_id": doc["_id"]}, {"$set": fields}))
        if updates:
            await database.images.bulk_write(updates, ordered=False, session=session)
        return len(docs)

    def _carriers(self, field: str) -> dict[str, Any]:
        scope = {"library_id": self.library} if self.library else {}
        return {field: {"$in": sorted(self.sources - {self.target})}, **scope}

    def _replaced(self, tags: Sequence[str], known: TagSpellings) -> list[str]:
        """The target takes the source's place, unless the image has it already."""
        source, name = tag_key(min(self.sources)), known.spelling_of(self.target)
        if not self.only_respells and tag_key(self.target) in map(tag_key, tags):
            return [tag for tag in tags if tag_key(tag) != source]
        return list(dict.fromkeys(name if tag_key(tag) == source else tag for tag in tags))
