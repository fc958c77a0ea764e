"""What can be asked of the tags of images: a change, or to take one back. Each works on a slate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.database import Database
from tagify.catalog.tags.edits import TagEdit, TaggedImage, log_with_edit, log_without, undo_edit
from tagify.catalog.tags.undo_log import ChangeIdentity, RecordedEdit, build_record, recorded_edits
from tagify.catalog.tags.unit_of_work import TagUnitOfWork

BATCH = 500
"""Images in one transaction, at most: one that takes long is overtaken by short ones again and again."""

OperationResult = tuple[list[TaggedImage], dict[str, Any] | None]
"""What was done to each image, and the record of it where it can be taken back."""


@dataclass(frozen=True, slots=True)
class TagChange:
    """Put tags on some images, at most BATCH, and take tags off."""

    signature: ChangeIdentity
    ids: Sequence[ObjectId]
    add: Sequence[str]
    remove: Sequence[str]

    @property
    def max_images(self) -> int:
        """Images that it may touch."""
        return len(self.ids)

    @property
    def tag_names(self) -> list[str]:
        """Tags whose spelling it must know."""
        return [*self.add, *self.remove]

    def apply(self, slate: TagUnitOfWork) -> OperationResult:
        """Do it to those that are present."""
        wish = TagEdit(slate.spelling.spellings_of(self.add), self.remove)
        outcomes, changed = [], {}
        for name in self.ids:
            if (doc := slate.get(name)) is None:
                continue
            retagging = wish.apply_to(doc["tags"])
            outcomes.append(retagging.to_tagged_image(name))
            if retagging:
                changed[name] = retagging
                slate.set_tags(name, retagging.tags, log_with_edit(doc, self.signature.by, retagging))
        return outcomes, build_record(self.signature, changed) if changed else None


@dataclass(frozen=True, slots=True)
class TagUndo:
    """Take back what one record tells of."""

    record: ObjectId

    @property
    def max_images(self) -> int:
        """Images that it may touch, at most."""
        return BATCH


@dataclass(frozen=True, slots=True)
class UndoRecord:
    """A record that is being taken back; empty where that has been done already."""

    by: ObjectId | None
    done: dict[ObjectId, RecordedEdit]

    @classmethod
    async def mark_undone(
        cls, database: Database, name: ObjectId, session: AsyncClientSession
    ) -> "UndoRecord":
        """Mark the record as taken back."""
        doc = await database.undos.find_one_and_update(
            {"_id": name, "undone": False}, {"$set": {"undone": True}}, session=session
        )
        return cls(doc["by"], recorded_edits(doc)) if doc else cls(None, {})

    @property
    def ids(self) -> list[ObjectId]:
        """The images that it may touch."""
        return list(self.done)

    @property
    def tag_names(self) -> list[str]:
        """Tags whose spelling it must know: those that may be put on again."""
        return [tag for step in self.done.values() for _, tag in step.removed]

    def apply(self, slate: TagUnitOfWork) -> OperationResult:
        """Do it to those images that are present."""
        outcomes = []
        for name, step in self.done.items():
            if (doc := slate.get(name)) is None or self.by is None:
                continue
            removed = [(place, slate.spelling.spelling_of(tag)) for place, tag in step.removed]
            retagging = undo_edit(doc, self.by, step.added, removed)
            outcomes.append(retagging.to_tagged_image(name))
            if retagging:
                slate.set_tags(name, retagging.tags, log_without(doc, self.by))
        return outcomes, None
