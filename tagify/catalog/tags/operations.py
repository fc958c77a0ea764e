"""What can be asked of the tags of images: a change, or to take one back. Each works on a slate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.database import Database
from tagify.catalog.tags.edits import TagEdit, Tagged, logged, take_back, unlogged
from tagify.catalog.tags.undo_log import Signature, Step, record, steps
from tagify.catalog.tags.unit_of_work import TagUnitOfWork

BATCH = 500
"""Images in one transaction, at most: one that takes long is overtaken by short ones again and again."""

Outcome = tuple[list[Tagged], dict[str, Any] | None]
"""What was done to each image, and the record of it where it can be taken back."""


@dataclass(frozen=True, slots=True)
class Change:
    """Put tags on some images, at most BATCH, and take tags off."""

    signature: Signature
    ids: Sequence[ObjectId]
    add: Sequence[str]
    remove: Sequence[str]

    @property
    def weight(self) -> int:
        """Images that it may touch."""
        return len(self.ids)

    @property
    def names(self) -> list[str]:
        """Tags whose spelling it must know."""
        return [*self.add, *self.remove]

    def apply(self, slate: TagUnitOfWork) -> Outcome:
        """Do it to those that are present."""
        wish = TagEdit(slate.spelling.all(self.add), self.remove)
        outcomes, changed = [], {}
        for name in self.ids:
            if (doc := slate.get(name)) is None:
                continue
            retagging = wish.on(doc["tags"])
            outcomes.append(retagging.told(name))
            if retagging:
                changed[name] = retagging
                slate.set(name, retagging.tags, logged(doc, self.signature.by, retagging))
        return outcomes, record(self.signature, changed) if changed else None


@dataclass(frozen=True, slots=True)
class Undo:
    """Take back what one record tells of."""

    record: ObjectId

    @property
    def weight(self) -> int:
        """Images that it may touch, at most."""
        return BATCH


@dataclass(frozen=True, slots=True)
class UndoRecord:
    """A record that is being taken back; empty where that has been done already."""

    by: ObjectId | None
    done: dict[ObjectId, Step]

    @classmethod
    async def read(cls, database: Database, name: ObjectId, session: AsyncClientSession) -> "UndoRecord":
        """Mark the record as taken back."""
        doc = await database.undos.find_one_and_update(
            {"_id": name, "undone": False}, {"$set": {"undone": True}}, session=session
        )
        return cls(doc["by"], steps(doc)) if doc else cls(None, {})

    @property
    def ids(self) -> list[ObjectId]:
        """The images that it may touch."""
        return list(self.done)

    @property
    def names(self) -> list[str]:
        """Tags whose spelling it must know: those that may be put on again."""
        return [tag for step in self.done.values() for _, tag in step.removed]

    def apply(self, slate: TagUnitOfWork) -> Outcome:
        """Do it to those images that are present."""
        outcomes = []
        for name, step in self.done.items():
            if (doc := slate.get(name)) is None or self.by is None:
                continue
            removed = [(place, slate.spelling.of(tag)) for place, tag in step.removed]
            retagging = take_back(doc, self.by, step.added, removed)
            outcomes.append(retagging.told(name))
            if retagging:
                slate.set(name, retagging.tags, unlogged(doc, self.by))
        return outcomes, None
