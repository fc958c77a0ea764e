"""What changes in the catalog, as it changes, by MongoDB's change streams."""

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

_WATCHED = [
    {
        "$match": {
            "ns.coll": {"$in": ["images", "libraries"]},
            "operationType": {"$in": ["insert", "update", "replace", "delete"]},
        }
    }
]
POLL_MS = 1000
"""How long the server may wait for a change before it answers that there is none."""


class ChangeKind(StrEnum):
    """What happened, as a list of ready images sees it."""

    IMAGE_ADDED = "image.added"
    IMAGE_CHANGED = "image.changed"
    IMAGE_REMOVED = "image.removed"
    LIBRARY_CHANGED = "library.changed"
    LIBRARY_REMOVED = "library.removed"


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """One change. `token` is where a later stream goes on behind it."""

    token: str
    kind: ChangeKind
    id: ImageId | LibraryId
    image: Image | None = None
    library: Library | None = None


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """All changes up to this token have been told; a later stream can go on behind it.

    `idle`: the server was asked, and had no more at the moment.
    """

    token: str
    idle: bool = False


class ChangeStream:
    """The stream of changes of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def follow(self, after: str | None = None) -> AsyncGenerator[CatalogChange | ResumeToken, None]:
        """All changes from now, or behind the token `after`, for ever.

        Yields a Mark once the stream stands, whenever a second passes without a change, and for a
        change that is none for a list. Tokens sort as the changes came, as texts.

        Raises ChangesLost where the token is too old or none of this server, Unavailable.
        """
        resume = {"_data": after} if after else None
        try:
            with pymongo.timeout(None):
                stream = await self._database.watch(
                    _WATCHED,
                    full_document="updateLookup",
                    resume_after=resume,
                    max_await_time_ms=POLL_MS,
                )
                async with stream:
                    if mark := _mark(stream.resume_token):
                        yield mark
                    moving: set[Any] = set()
                    while stream.alive:
                        event = await stream.try_next()
                        told: CatalogChange | ResumeToken | None = _change(event, moving) if event else None
                        # No mark between the two halves of a move: a stream that went on there
                        # would take the second for an addition.
                        if told is None and not moving:
                            told = _mark(stream.resume_token, idle=event is None)
                        if told is not None:
                            yield told
        except PyMongoError as error:
            raise translate_driver_error(error) from error


def _mark(token: Mapping[str, Any] | None, *, idle: bool = False) -> ResumeToken | None:
    return ResumeToken(token["_data"], idle) if token else None


def _change(event: Mapping[str, Any], moving: set[Any]) -> CatalogChange | None:
    """The change that an event tells of, if any; `moving` holds the ids of those that stepped aside."""
    token: str = event["_id"]["_data"]
    name = str(event["documentKey"]["_id"])
    doc = event.get("fullDocument")
    if event["ns"]["coll"] == "libraries":
        if doc is None:
            return CatalogChange(token, ChangeKind.LIBRARY_REMOVED, LibraryId(name))
        return CatalogChange(
            token, ChangeKind.LIBRARY_CHANGED, LibraryId(name), library=library_from_doc(doc)
        )
    updated = event.get("updateDescription", {}).get("updatedFields", {})
    if updated.get("state") == MOVING:
        moving.add(name)
        return None
    moved = name in moving
    moving.discard(name)
    if doc is None:
        return CatalogChange(token, ChangeKind.IMAGE_REMOVED, ImageId(name))
    image = image_from_doc(doc)
    kind = _kind(image, event["operationType"] == "insert", updated, moved)
    return CatalogChange(token, kind, image.id, image=image) if kind else None


def _kind(image: Image, inserted: bool, updated: Mapping[str, Any], moved: bool) -> ChangeKind | None:
    # Who stepped aside comes back to its state; only with other bytes can that be another than it was.
    turned = "state" in updated
    if image.state is ImageState.READY:
        added = inserted or (turned and not (moved and "content" not in updated))
        return ChangeKind.IMAGE_ADDED if added else ChangeKind.IMAGE_CHANGED
    return ChangeKind.IMAGE_REMOVED if turned and not inserted else None
