"""A batch of writes worked out in memory: documents as they were -> documents as they shall be.

Later writes of a batch see what earlier ones did, so two files that swap names, or a file
that leaves one path and appears at another, come out right whatever the order.
"""

import copy
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import InsertOne, UpdateOne

from tagify.catalog.images.commands import ImageCommand, MarkMissing, MoveImage, UpsertImage
from tagify.catalog.mapping import file_fields, object_id, picture_fields
from tagify.model import CatalogEntry, FileFacts, ImageState
from tagify.tagnames import TagSpellings

Doc = dict[str, Any]
PathKey = tuple[ObjectId, str]

MOVING = "moving"
"""State of a document between two operations of one transaction: outside the index of present paths."""


class ImageUnitOfWork:
    """The documents that a batch touches: give it all, `apply` each write, read the result."""

    def __init__(self, docs: Iterable[Doc], spelling: TagSpellings, now: datetime) -> None:
        self._before = {doc["_id"]: doc for doc in docs}
        self._docs = copy.deepcopy(self._before)
        self._present: dict[PathKey, Doc] = {
            _place(doc): doc for doc in self._docs.values() if doc["state"] != ImageState.MISSING
        }
        self._spelling = spelling
        self._now = now

    def apply(self, write: ImageCommand) -> None:
        """Work one write in. One that speaks of a document that is not there any more does nothing."""
        match write:
            case UpsertImage():
                self._store(write)
            case MoveImage():
                self._move(write)
            case MarkMissing():
                doc = self._present.get((object_id(write.library_id), write.path))
                if doc is not None and doc["_id"] == object_id(write.id):
                    self._miss(doc)

    def release_paths(self) -> list[UpdateOne]:
        """What frees the places that others take, to be run before `arriving`; in any order.

        Documents that change their place step aside, so that no two are ever at one path.
        """
        return [
            UpdateOne(
                {"_id": doc["_id"]},
                {"$set": _difference(before, doc) if _is_hidden(doc) else {"state": MOVING}},
            )
            for before, doc in self.changed_documents()
            if before is not None and (_is_hidden(doc) or _steps_aside(before, doc))
        ]

    def final_writes(self) -> list[InsertOne[Doc] | UpdateOne]:
        """What else makes the stored documents equal to these, in any order."""
        return [
            InsertOne(doc)
            if before is None
            else UpdateOne({"_id": doc["_id"]}, {"$set": _difference(before, doc)})
            for before, doc in self.changed_documents()
            if before is None or not _is_hidden(doc)
        ]

    def changed_documents(self) -> Iterator[tuple[Doc | None, Doc]]:
        """Each document that is new or differs, with what it was."""
        for name, doc in self._docs.items():
            before = self._before.get(name)
            if before != doc:
                yield before, doc

    def _store(self, write: UpsertImage) -> None:
        library = object_id(write.library_id)
        place = library, write.file.path
        doc = self._present.get(place) or self._left(write) or self._missing(library, write)
        if doc is None:
            doc = self._new()
        elif doc["state"] == ImageState.MISSING:
            self._revive(doc)
        self._place_at(doc, library, write.file)
        self._take_keywords(doc, write)
        doc.update(picture_fields(write.picture), content=write.content, error=write.error)
        if write.picture and doc["taken_at"] is None:
            doc["taken_at"] = _time_of(write.file)
        doc["state"] = (ImageState.READY if write.picture else ImageState.FAILED).value

    def _move(self, write: MoveImage) -> None:
        doc = self._docs.get(object_id(write.entry.id))
        if doc is None:
            return
        if doc["state"] == ImageState.MISSING:
            self._revive(doc)
        elif _place(doc) != _seen_at(write.entry):
            return
        library = object_id(write.library_id)
        there = self._present.get((library, write.file.path))
        if there is not None and there is not doc:
            self._miss(there)
        self._place_at(doc, library, write.file)

    def _left(self, write: UpsertImage) -> Doc | None:
        """The image that this file is of, come from another place, unless it has gone on from there."""
        if (entry := write.moved_from) is None:
            return None
        doc = self._docs.get(object_id(entry.id))
        if doc is None or doc["state"] == ImageState.MISSING or doc.get("content") != write.content:
            return None
        return doc if _place(doc) == _seen_at(entry) else None

    def _missing(self, library: ObjectId, write: UpsertImage) -> Doc | None:
        """The missing image that this file is: of the same content, the nearest one."""
        if write.content is None:
            return None
        found = [
            doc
            for doc in self._docs.values()
            if doc["state"] == ImageState.MISSING and doc.get("content") == write.content
        ]
        name = write.file.path.rpartition("/")[2]
        return max(
            found,
            key=lambda doc: (
                _place(doc) == (library, write.file.path),
                doc["library_id"] == library,
                doc["path"].rpartition("/")[2] == name,
                doc["_id"],
            ),
            default=None,
        )

    def _new(self) -> Doc:
        doc: Doc = {"_id": ObjectId(), "tags": [], "added_at": self._now}
        self._docs[doc["_id"]] = doc
        return doc

    def _take_keywords(self, doc: Doc, write: UpsertImage) -> None:
        """Keywords become tags when the picture is first seen; later a user may have taken them off."""
        seen = doc.get("keywords_read", bool(doc.get("content")))
        if write.picture and not seen:
            added = [
                tag for tag in self._spelling.spellings_of(write.picture.keywords) if tag not in doc["tags"]
            ]
            doc["tags"] = [*doc["tags"], *added]
        doc["keywords_read"] = seen or write.picture is not None

    def _place_at(self, doc: Doc, library: ObjectId, file: FileFacts) -> None:
        if "path" in doc and self._present.get(_place(doc)) is doc:
            del self._present[_place(doc)]
        doc.update(file_fields(file), library_id=library, updated_at=self._now)
        self._present[_place(doc)] = doc

    def _miss(self, doc: Doc) -> None:
        """Hide the image. Its tags rest in `kept_tags`, so that counts are those of what is shown."""
        if doc["state"] == ImageState.MISSING:
            return
        if self._present.get(_place(doc)) is doc:
            del self._present[_place(doc)]
        doc.update(
            state=ImageState.MISSING.value,
            missing_since=self._now,
            kept_tags=doc["tags"],
            tags=[],
            updated_at=self._now,
        )

    def _revive(self, doc: Doc) -> None:
        doc["state"] = (ImageState.READY if doc.get("content") else ImageState.FAILED).value
        doc.update(
            missing_since=None, tags=self._spelling.spellings_of(doc.get("kept_tags", ())), kept_tags=[]
        )


def _time_of(file: FileFacts) -> datetime | None:
    """When the file was written; None for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(file.mtime_ns // 1_000_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _is_hidden(doc: Doc) -> bool:
    return bool(doc["state"] == ImageState.MISSING)


def _steps_aside(before: Doc, doc: Doc) -> bool:
    return not _is_hidden(before) and _place(before) != _place(doc)


def _place(doc: Doc) -> PathKey:
    return doc["library_id"], doc["path"]


def _seen_at(entry: CatalogEntry) -> PathKey:
    return object_id(entry.library_id), entry.file.path


def _difference(before: Doc, doc: Doc) -> Doc:
    """The fields to set. The state is always among them: a document that stepped aside gets it back."""
    return {name: value for name, value in doc.items() if before.get(name) != value or name == "state"}
