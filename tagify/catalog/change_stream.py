"""Changes of images and libraries as they happen, from a MongoDB change stream."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from tagify.catalog.database import Database
from tagify.catalog.errors import translate_driver_error
from tagify.catalog.images.unit_of_work import MOVING
from tagify.catalog.mapping import image_from_doc, library_from_doc
from tagify.model import Image, ImageId, ImageState, Library, LibraryId

_PIPELINE = [
    {
        "$match": {
            "ns.coll": {"$in": ["images", "libraries"]},
            "operationType": {"$in": ["insert", "update", "replace", "delete"]},
        }
    }
]
POLL_MS = 1000
"""Maximum time the server waits for a change before it returns an empty batch, in milliseconds."""


class ChangeKind(StrEnum):
    """Types of changes, as seen by a list of ready images."""

    IMAGE_ADDED = "image.added"
    IMAGE_CHANGED = "image.changed"
    IMAGE_REMOVED = "image.removed"
    LIBRARY_CHANGED = "library.changed"
    LIBRARY_REMOVED = "library.removed"


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """One change. A later stream can resume after its `token`."""

    token: str
    kind: ChangeKind
    id: ImageId | LibraryId
    image: Image | None = None
    library: Library | None = None


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """All changes up to `token` have been yielded; a later stream can resume after it.

    `idle`: the server's last batch was empty.
    """

    token: str
    idle: bool = False


class ChangeStream:
    """The change stream of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def follow(self, after: str | None = None) -> AsyncGenerator[CatalogChange | ResumeToken, None]:
        """Yield all changes from now, or after the token `after`, without end.

        Yields a ResumeToken when the stream is open, after each second without a change, and for each
        change that does not affect lists. Tokens sort as strings in the order of the changes.

        Raises ChangeStreamHistoryLost if the token is too old or from another server, Unavailable.
        """
        resume_after = {"_data": after} if after else None
        try:
            with pymongo.timeout(None):
                stream = await self._database.watch(
                    _PIPELINE,
                    full_document="updateLookup",
                    resume_after=resume_after,
                    max_await_time_ms=POLL_MS,
                )
                async with stream:
                    if token := _resume_token(stream.resume_token):
                        yield token
                    moving: set[Any] = set()
                    while stream.alive:
                        event = await stream.try_next()
                        item: CatalogChange | ResumeToken | None = _change(event, moving) if event else None
                        # No token between the two updates of a move: a stream that resumed there
                        # would report the second as an addition.
                        if item is None and not moving:
                            item = _resume_token(stream.resume_token, idle=event is None)
                        if item is not None:
                            yield item
        except PyMongoError as error:
            raise translate_driver_error(error) from error


def _resume_token(token: Mapping[str, Any] | None, *, idle: bool = False) -> ResumeToken | None:
    return ResumeToken(token["_data"], idle) if token else None


def _change(event: Mapping[str, Any], moving: set[Any]) -> CatalogChange | None:
    """The change described by an event, if any; `moving` collects ids between the two updates of a move."""
    token: str = event["_id"]["_data"]
    doc_id = str(event["documentKey"]["_id"])
    doc = event.get("fullDocument")
    if event["ns"]["coll"] == "libraries":
        if doc is None:
            return CatalogChange(token, ChangeKind.LIBRARY_REMOVED, LibraryId(doc_id))
        library = library_from_doc(doc)
        return CatalogChange(token, ChangeKind.LIBRARY_CHANGED, library.id, library=library)
    updated = event.get("updateDescription", {}).get("updatedFields", {})
    if updated.get("state") == MOVING:
        moving.add(doc_id)
        return None
    moved = doc_id in moving
    moving.discard(doc_id)
    if doc is None:
        return CatalogChange(token, ChangeKind.IMAGE_REMOVED, ImageId(doc_id))
    if updated and updated.keys() <= {"ctime_ns"}:
        return None
    image = image_from_doc(doc)
    kind = _kind(image, event["operationType"] == "insert", updated, moved)
    return CatalogChange(token, kind, image.id, image=image) if kind else None


def _kind(image: Image, inserted: bool, updated: Mapping[str, Any], moved: bool) -> ChangeKind | None:
    # A moved image gets its state back; the state can differ from before only if its content changed.
    state_set = "state" in updated
    if image.state is ImageState.READY:
        added = inserted or (state_set and not (moved and "content" not in updated))
        return ChangeKind.IMAGE_ADDED if added else ChangeKind.IMAGE_CHANGED
    return ChangeKind.IMAGE_REMOVED if state_set and not inserted else None
