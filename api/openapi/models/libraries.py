"""Libraries and their scans."""

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.handlers.libraries import MAX_NAME_LENGTH
from api.openapi.models.fields import Count, Id, Timestamp, no_extra_members
from tagify.model import LibraryState


@no_extra_members
class RemovalSchema(TypedDict):
    """How far the removal of a library is: images, then objects of the store."""

    total: Count
    done: Count
    objects_left: Count
    message: str


@no_extra_members
class ProgressSchema(TypedDict):
    """How far a library's scan is, and what it waits for."""

    state: LibraryState
    scanning: bool
    scan_total: Count
    scan_done: Count
    indexed_count: Count
    last_scanned: Timestamp | None
    scan_error: str
    removal_waiting: Count
    removal_since: Timestamp | None
    removal: RemovalSchema | None


class LibrarySchema(ProgressSchema):
    """A library."""

    _id: Id
    name: str
    path: str


class NewLibrarySchema(TypedDict):
    """A folder that is to be a library."""

    path: Annotated[str, Field(pattern="^/", description="Absolute, below an allowed root.")]
    name: NotRequired[Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]]


class NewNameSchema(TypedDict):
    """Another name for a library."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=r"\S")]
