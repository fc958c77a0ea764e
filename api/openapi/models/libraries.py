"""Schemas of libraries and their scans."""

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.handlers.libraries import MAX_NAME_LENGTH
from api.openapi.models.fields import Count, Id, Timestamp, no_extra_members
from tagify.model import LibraryState


@no_extra_members
class RemovalSchema(TypedDict):
    """Progress of a library's removal: images, then objects in the S3 server."""

    total: Count
    done: Count
    objects_left: Count
    message: str


@no_extra_members
class PendingApprovalSchema(TypedDict):
    """What can be approved now: the deletion of up to `images` images, or another root folder."""

    _id: Annotated[str, Field(description="Changes with the root folder and the number of images.")]
    images: Count


class ApprovalSchema(TypedDict):
    """Names what is approved. Without it, what is pending now is approved."""

    pending_approval: NotRequired[Annotated[str | None, Field(description="The `_id` that was shown.")]]


@no_extra_members
class ProgressSchema(TypedDict):
    """Progress of a library's scan, and deletions that wait for approval."""

    state: LibraryState
    scanning: bool
    scan_total: Count
    scan_done: Count
    indexed_count: Count
    failed: Annotated[int, Field(ge=0, description="Number of files that could not be decoded.")]
    damaged: Annotated[
        int, Field(ge=0, description="Number of images that are shown as far as they can be read.")
    ]
    skipped: Annotated[
        dict[str, Count],
        Field(description="Number of files that the last scan skipped, by suffix (`.mov`)."),
    ]
    last_scanned: Timestamp | None
    scan_error: str
    removal_waiting: Count
    removal_since: Timestamp | None
    pending_approval: PendingApprovalSchema | None
    removal: RemovalSchema | None


class LibrarySchema(ProgressSchema):
    """A library with its scan progress."""

    _id: Id
    name: str
    path: str


class NewLibrarySchema(TypedDict):
    """A folder to add as a library."""

    path: Annotated[str, Field(pattern="^/", description="Absolute path, in an allowed root.")]
    name: NotRequired[Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]]
    new: NotRequired[Annotated[bool, Field(description="Add it even if it is a library that has moved.")]]


class LibraryChangeSchema(TypedDict):
    """The new name of a library, the new path of its folder, or both."""

    name: NotRequired[Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=r"\S")]]
    path: NotRequired[Annotated[str, Field(pattern="^/", description="Absolute path, in an allowed root.")]]
