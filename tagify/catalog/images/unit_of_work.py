"""Unit of work of a batch of image commands: applies them in memory and computes the writes.

Later commands of a batch see the result of earlier ones. So two files that swap names, or a file that
leaves one path and appears at another, are handled correctly in any order.
"""

import copy
import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import InsertOne, UpdateOne

from tagify.catalog.images.commands import ImageCommand, MarkMissing, MoveImage, UpsertImage
from tagify.catalog.mapping import file_fields, object_id, picture_fields, storable_text
from tagify.logs import fields
from tagify.model import CatalogEntry, FileFacts, ImageState
from tagify.tagnames import MAX_KEYWORDS, MAX_TAGS_PER_IMAGE, TagSpellings

logger = logging.getLogger(__name__)

Doc = dict[str, Any]
PathKey = tuple[ObjectId, str]
"""A library and a path in it: unique among present images."""

MAX_ERROR_LENGTH = 1000
"""Maximum length of the reason of a failure, in characters; a longer one is cut."""

MOVING = "moving"
"""State of a document between two updates of one transaction: outside the unique index of present paths."""


class ImageUnitOfWork:
    """The documents that a batch touches: `apply` each command, then read the writes."""

    def __init__(self, docs: Iterable[Doc], spellings: TagSpellings, now: datetime) -> None:
        self._before = {doc["_id"]: doc for doc in docs}
        self._docs = copy.deepcopy(self._before)
        self._present: dict[PathKey, Doc] = {
            _path_key(doc): doc for doc in self._docs.values() if doc["state"] != ImageState.MISSING
        }
        self._spellings = spellings
        self._now = now

    def apply(self, command: ImageCommand) -> None:
        """Apply one command. Ignored if its document has changed in between."""
        match command:
            case UpsertImage():
                self._upsert(command)
            case MoveImage():
                self._move(command)
            case MarkMissing():
                doc = self._present.get((object_id(command.library_id), command.path))
                if doc is not None and doc["_id"] == object_id(command.id):
                    self._mark_missing(doc)

    def release_paths(self) -> list[UpdateOne]:
        """Updates that free paths for other documents. Run them before `final_writes`, in any order.

        Documents that change their path get the state MOVING, so no two are ever present at one path.
        """
        return [
            UpdateOne(
                {"_id": doc["_id"]},
                {"$set": _difference(before, doc) if _is_missing(doc) else {"state": MOVING}},
            )
            for before, doc in self.changed_documents()
            if before is not None and (_is_missing(doc) or _changes_path(before, doc))
        ]

    def final_writes(self) -> list[InsertOne[Doc] | UpdateOne]:
        """All other writes, in any order."""
        return [
            InsertOne(doc)
            if before is None
            else UpdateOne({"_id": doc["_id"]}, {"$set": _difference(before, doc)})
            for before, doc in self.changed_documents()
            if before is None or not _is_missing(doc)
        ]

    def changed_documents(self) -> Iterator[tuple[Doc | None, Doc]]:
        """Each changed document before (None if new) and after the batch."""
        for doc_id, doc in self._docs.items():
            before = self._before.get(doc_id)
            if before != doc:
                yield before, doc

    def _upsert(self, command: UpsertImage) -> None:
        library = object_id(command.library_id)
        doc = (
            self._present.get((library, command.file.path))
            or self._moved_image(command)
            or self._missing_image(library, command)
        )
        if doc is None:
            doc = self._insert()
            doc["tags"] = self._tags_out_of_reach(command)
        elif doc["state"] == ImageState.MISSING:
            self._restore(doc)
        elif doc["state"] == ImageState.FAILED:
            # Its tags were not counted: meanwhile another spelling may have become the one in use.
            doc["tags"] = self._spellings.spellings_of(doc["tags"])
        self._set_file(doc, library, command.file)
        self._add_keywords(doc, command)
        error = storable_text(command.error)[:MAX_ERROR_LENGTH]
        doc.update(picture_fields(command.picture), content=command.content, error=error)
        if command.picture and doc["taken_at"] is None:
            doc["taken_at"] = _modified_at(command.file)
        doc["state"] = (ImageState.READY if command.picture else ImageState.FAILED).value

    def _move(self, command: MoveImage) -> None:
        doc = self._docs.get(object_id(command.entry.id))
        if doc is None:
            return
        if doc["state"] == ImageState.MISSING:
            self._restore(doc)
        elif _path_key(doc) != _entry_path_key(command.entry):
            return
        library = object_id(command.library_id)
        replaced = self._present.get((library, command.file.path))
        if replaced is not None and replaced is not doc:
            self._mark_missing(replaced)
        if replaced is doc:
            doc.update(file_fields(command.file))
        else:
            self._set_file(doc, library, command.file)

    def _moved_image(self, command: UpsertImage) -> Doc | None:
        """The image whose file moved here (`moved_from`), unless it has changed since."""
        if (entry := command.moved_from) is None:
            return None
        doc = self._docs.get(object_id(entry.id))
        if doc is None or doc["state"] == ImageState.MISSING or doc.get("content") != command.content:
            return None
        return doc if _path_key(doc) == _entry_path_key(entry) else None

    def _missing_image(self, library: ObjectId, command: UpsertImage) -> Doc | None:
        """The missing image of the same content with the most similar path."""
        if command.content is None:
            return None
        candidates = [
            doc
            for doc in self._docs.values()
            if doc["state"] == ImageState.MISSING and doc.get("content") == command.content
        ]
        name = command.file.path.rpartition("/")[2]
        return max(
            candidates,
            key=lambda doc: (
                _path_key(doc) == (library, command.file.path),
                doc["library_id"] == library,
                doc["path"].rpartition("/")[2] == name,
                doc["_id"],
            ),
            default=None,
        )

    def _tags_out_of_reach(self, command: UpsertImage) -> list[str]:
        """The tags of the images in `tags_from`, without duplicates."""
        docs = (self._docs.get(object_id(image_id)) for image_id in command.tags_from)
        same = [doc for doc in docs if doc is not None and doc.get("content") == command.content]
        return list(dict.fromkeys(tag for doc in same for tag in doc["tags"]))

    def _insert(self) -> Doc:
        doc: Doc = {"_id": ObjectId(), "tags": [], "added_at": self._now}
        self._docs[doc["_id"]] = doc
        return doc

    def _add_keywords(self, doc: Doc, command: UpsertImage) -> None:
        """Add keywords as tags when the picture is first decoded; later a user may have removed them."""
        already_read = doc.get("keywords_read", bool(doc.get("content")))
        if command.picture and not already_read:
            keywords = self._spellings.spellings_of(command.picture.keywords[:MAX_KEYWORDS])
            self._set_tags(doc, [*doc["tags"], *(tag for tag in keywords if tag not in doc["tags"])])
        doc["keywords_read"] = already_read or command.picture is not None

    def _set_tags(self, doc: Doc, tags: list[str]) -> None:
        """Set up to MAX_TAGS_PER_IMAGE tags; the rest is left out."""
        if left_out := tags[MAX_TAGS_PER_IMAGE:]:
            logger.warning(
                "tags left out: an image has at most %d",
                MAX_TAGS_PER_IMAGE,
                extra=fields(file=doc["path"], left_out=len(left_out)),
            )
        doc["tags"] = tags[:MAX_TAGS_PER_IMAGE]

    def _set_file(self, doc: Doc, library: ObjectId, file: FileFacts) -> None:
        if "path" in doc and self._present.get(_path_key(doc)) is doc:
            del self._present[_path_key(doc)]
        doc.update(file_fields(file), library_id=library, updated_at=self._now)
        self._present[_path_key(doc)] = doc

    def _mark_missing(self, doc: Doc) -> None:
        """Hide the image. Its tags move to `kept_tags`: no list by tag contains it."""
        if doc["state"] == ImageState.MISSING:
            return
        if self._present.get(_path_key(doc)) is doc:
            del self._present[_path_key(doc)]
        doc.update(
            state=ImageState.MISSING.value,
            missing_since=self._now,
            kept_tags=doc["tags"],
            tags=[],
            updated_at=self._now,
        )

    def _restore(self, doc: Doc) -> None:
        doc["state"] = (ImageState.READY if doc.get("mime") else ImageState.FAILED).value
        self._set_tags(doc, self._spellings.spellings_of(doc.get("kept_tags", ())))
        doc.update(missing_since=None, kept_tags=[])


def uncounted_tags(doc: Doc) -> tuple[str, ...]:
    """The tags of an image that is not ready: their spellings are those in use once it is."""
    return () if doc["state"] == ImageState.READY else (*doc["tags"], *doc.get("kept_tags", ()))


def _modified_at(file: FileFacts) -> datetime | None:
    """The file's modification time; None if it is out of range for a datetime."""
    try:
        return datetime.fromtimestamp(file.mtime_ns // 1_000_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _is_missing(doc: Doc) -> bool:
    return bool(doc["state"] == ImageState.MISSING)


def _changes_path(before: Doc, doc: Doc) -> bool:
    return not _is_missing(before) and _path_key(before) != _path_key(doc)


def _path_key(doc: Doc) -> PathKey:
    return doc["library_id"], doc["path"]


def _entry_path_key(entry: CatalogEntry) -> PathKey:
    return object_id(entry.library_id), entry.file.path


def _difference(before: Doc, doc: Doc) -> Doc:
    """The fields to set. Always includes the state: it must replace MOVING."""
    return {name: value for name, value in doc.items() if before.get(name) != value or name == "state"}
