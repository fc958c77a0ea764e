"""Operations on the tags of images: a change, or the undo of one. Each works on a TagUnitOfWork."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from pymongo.asynchronous.client_session import AsyncClientSession

from tagify.catalog.database import Database
from tagify.catalog.tags.edits import (
    EditResult,
    TagEdit,
    TaggedImage,
    check_tag_count,
    log_with_edit,
    log_without,
    undo_edit,
)
from tagify.catalog.tags.undo_log import ChangeIdentity, RecordedEdit, build_record, recorded_edits
from tagify.catalog.tags.unit_of_work import TagUnitOfWork

BATCH = 500
"""Maximum number of images per transaction: a long one loses every write conflict to shorter ones."""

OperationResult = tuple[list[TaggedImage], dict[str, Any] | None]
"""The result for each image, and the undo record; None if nothing can be undone."""


@dataclass(frozen=True, slots=True)
class TagChange:
    """Adds and removes tags on up to BATCH images."""

    identity: ChangeIdentity
    ids: Sequence[ObjectId]
    add: Sequence[str]
    remove: Sequence[str]

    @property
    def max_images(self) -> int:
        """Maximum number of images it changes."""
        return len(self.ids)

    @property
    def tag_names(self) -> list[str]:
        """The tags whose stored spelling it needs."""
        return [*self.add, *self.remove]

    def apply(self, unit_of_work: TagUnitOfWork) -> OperationResult:
        """Apply the change to those images that are present, or to none. Raises TooManyTags."""
        edit = TagEdit(unit_of_work.spellings.spellings_of(self.add), self.remove)
        docs = {image_id: doc for image_id in self.ids if (doc := unit_of_work.get(image_id)) is not None}
        results = {image_id: edit.apply_to(doc["tags"]) for image_id, doc in docs.items()}
        for image_id, result in results.items():
            check_tag_count(docs[image_id]["tags"], result.tags)
        changed = {image_id: result for image_id, result in results.items() if result}
        for image_id, result in changed.items():
            log = log_with_edit(docs[image_id], self.identity.change_id, result)
            unit_of_work.set_tags(image_id, result.tags, log)
        return _tagged_images(results), build_record(self.identity, changed) if changed else None


@dataclass(frozen=True, slots=True)
class TagUndo:
    """Undoes the edits of one undo record."""

    record: ObjectId

    @property
    def max_images(self) -> int:
        """Maximum number of images it changes."""
        return BATCH


@dataclass(frozen=True, slots=True)
class UndoRecord:
    """An undo record that is being undone; empty if it was undone before."""

    change_id: ObjectId | None
    edits: dict[ObjectId, RecordedEdit]

    @classmethod
    async def mark_undone(
        cls, database: Database, record_id: ObjectId, session: AsyncClientSession
    ) -> "UndoRecord":
        """Load a record and mark it as undone."""
        doc = await database.undos.find_one_and_update(
            {"_id": record_id, "undone": False}, {"$set": {"undone": True}}, session=session
        )
        return cls(doc["by"], recorded_edits(doc)) if doc else cls(None, {})

    @property
    def ids(self) -> list[ObjectId]:
        """The images it may change."""
        return list(self.edits)

    @property
    def tag_names(self) -> list[str]:
        """The tags whose stored spelling it needs: those it may add again."""
        return [tag for edit in self.edits.values() for _, tag in edit.removed]

    def apply(self, unit_of_work: TagUnitOfWork) -> OperationResult:
        """Undo the edits on those images that are present, or on none. Raises TooManyTags."""
        if self.change_id is None:
            return [], None
        results = {}
        for image_id, edit in self.edits.items():
            if (doc := unit_of_work.get(image_id)) is None:
                continue
            removed = [(index, unit_of_work.spellings.spelling_of(tag)) for index, tag in edit.removed]
            results[image_id] = undo_edit(doc, self.change_id, edit.added, removed)
            check_tag_count(doc["tags"], results[image_id].tags)
        for image_id, result in results.items():
            if result and (doc := unit_of_work.get(image_id)) is not None:
                unit_of_work.set_tags(image_id, result.tags, log_without(doc, self.change_id))
        return _tagged_images(results), None


def _tagged_images(results: Mapping[ObjectId, EditResult]) -> list[TaggedImage]:
    return [result.to_tagged_image(image_id) for image_id, result in results.items()]
