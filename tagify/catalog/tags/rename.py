"""One step of a rename job: replaces a tag by another on a batch of images, in one transaction.

If source and target differ only in case they are one tag (a respelling): its counts stay, the name in the
tag documents changes at once, and the images follow step by step. Until all have followed, the tag
documents list the other spellings (`respelling`), and queries match those too.
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
"""Maximum number of images per step."""


@dataclass(frozen=True, slots=True)
class RenameStep:
    """Source and target of a rename, its library (None: all), and its change id in the logs of images.

    `sources` are the spellings of one tag.
    """

    change_id: ObjectId
    sources: frozenset[str]
    target: str
    library: ObjectId | None

    @property
    def only_respells(self) -> bool:
        """Whether source and target differ only in case."""
        return tag_key(min(self.sources)) == tag_key(self.target)

    async def run(self, database: Database, session: AsyncClientSession) -> tuple[int, frozenset[str]]:
        """Number of images changed (0: the rename is done), and all source spellings seen so far."""
        step = replace(self, sources=self.sources | await self._respell(database, session))
        changed = await step._replace(database, session)
        if not changed and step.only_respells:
            query = {"key": tag_key(step.target), "respelling": {"$exists": True}}
            await database.tags.update_many(query, {"$unset": {"respelling": ""}}, session=session)
        return changed, step.sources

    async def _respell(self, database: Database, session: AsyncClientSession) -> set[str]:
        """The current spellings of the source; in a respelling, sets the target in the tag documents."""
        query = {"key": tag_key(min(self.sources))}
        cursor = database.tags.find(query, {"name": 1, "respelling": 1}, session=session)
        docs = await cursor.to_list()
        spellings = {name for doc in docs for name in spellings_in_use(doc)}
        if self.only_respells and any(doc["name"] != self.target for doc in docs):
            fields = {"name": self.target, "respelling": sorted(spellings | self.sources)}
            await database.tags.update_many(query, {"$set": fields}, session=session)
        return spellings

    async def _replace(self, database: Database, session: AsyncClientSession) -> int:
        spellings = (
            TagSpellings({}) if self.only_respells else await load_spellings(database, [self.target], session)
        )
        changed = await self._replace_on_present(database, spellings, session)
        return changed or await self._replace_on_missing(database, spellings, session)

    async def _replace_on_present(
        self, database: Database, spellings: TagSpellings, session: AsyncClientSession
    ) -> int:
        query = {**self._has_source("tags"), **PRESENT}
        docs = await database.images.find(query, PROJECTION, session=session).limit(STEP_SIZE).to_list()
        unit_of_work = TagUnitOfWork({doc["_id"]: doc for doc in docs}, spellings)
        keys = {tag_key(min(self.sources)), tag_key(self.target)}
        for doc in docs:
            # A respelling does not prevent the undo of earlier changes, so it is not logged.
            log = doc.get("tag_log", []) if self.only_respells else log_with_keys(doc, self.change_id, keys)
            unit_of_work.set_tags(doc["_id"], self._replaced(doc["tags"], spellings), log)
        await unit_of_work.write(database, session)
        return len(docs)

    async def _replace_on_missing(
        self, database: Database, spellings: TagSpellings, session: AsyncClientSession
    ) -> int:
        """Rename in the kept tags of missing images, which are restored with the file."""
        query = {**self._has_source("kept_tags"), "state": ImageState.MISSING.value}
        cursor = database.images.find(query, {"kept_tags": 1}, session=session)
        docs = await cursor.limit(STEP_SIZE).to_list()
        now = datetime.now(UTC)
        updates = []
        for doc in docs:
            fields = {"kept_tags": self._replaced(doc["kept_tags"], spellings), "updated_at": now}
            updates.append(UpdateOne({"_id": doc["_id"]}, {"$set": fields}))
        if updates:
            await database.images.bulk_write(updates, ordered=False, session=session)
        return len(docs)

    def _has_source(self, field: str) -> dict[str, Any]:
        scope = {"library_id": self.library} if self.library else {}
        return {field: {"$in": sorted(self.sources - {self.target})}, **scope}

    def _replaced(self, tags: Sequence[str], spellings: TagSpellings) -> list[str]:
        """The tags with the source replaced, or removed if the image already has the target."""
        source, target = tag_key(min(self.sources)), spellings.spelling_of(self.target)
        if not self.only_respells and tag_key(self.target) in map(tag_key, tags):
            return [tag for tag in tags if tag_key(tag) != source]
        return list(dict.fromkeys(target if tag_key(tag) == source else tag for tag in tags))
