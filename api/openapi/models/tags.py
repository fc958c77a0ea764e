"""Schemas of tags, tag changes and jobs."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.handlers.tags import MAX_IMAGES, MAX_TAGS, MAX_TOKEN_LENGTH
from api.openapi.models.fields import Count, Id, Timestamp, no_extra_members
from tagify.model import JobState
from tagify.tagnames import MAX_LENGTH

TagName = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]
TagNames = Annotated[list[TagName], Field(max_length=MAX_TAGS)]
UndoToken = Annotated[
    str | None,
    Field(description="Token for POST /api/tags/undo, valid for an hour; null if nothing changed."),
]


@no_extra_members
class TagCountSchema(TypedDict):
    """A tag and its number of images."""

    _id: str
    count: Count


@no_extra_members
class RetaggedSchema(TypedDict):
    """The tags of an image after a change, and the tags that the change added and removed."""

    _id: Id
    tags: list[str]
    added: list[str]
    removed: list[str]


class RetaggedOneSchema(RetaggedSchema):
    """The result of a change of one image."""

    undo: UndoToken


@no_extra_members
class ChangedSchema(TypedDict):
    """The result of a change of many images."""

    changed: Count
    added: Annotated[dict[str, Count], Field(description="Number of images by added tag.")]
    removed: Annotated[dict[str, Count], Field(description="Number of images by removed tag.")]
    undo: UndoToken
    images: list[RetaggedSchema]


@no_extra_members
class ChangeSchema(TypedDict):
    """Tags to add to and remove from many images."""

    ids: Annotated[list[Id], Field(max_length=MAX_IMAGES)]
    add: NotRequired[TagNames]
    remove: NotRequired[TagNames]


# "from" is a keyword in Python: only the functional syntax allows it as a field name.
NewRenameSchema = TypedDict(
    "NewRenameSchema", {"from": TagName, "to": TagName, "library_id": NotRequired[Id | None]}
)
"""A tag and its new name; if the new name is an existing tag, the two are merged."""

RenameSchema = TypedDict(
    "RenameSchema",
    {
        "_id": Id,
        "kind": Literal["rename"],
        "from": str,
        "to": str,
        "library_id": Id | None,
        "state": JobState,
        "total": Count,
        "done": Count,
        "error": str,
        "created_at": Timestamp | None,
        "finished_at": Timestamp | None,
    },
)
"""A job that renames a tag, and its progress."""


class UndoWishSchema(TypedDict):
    """The undo token of a change."""

    undo: Annotated[str, Field(max_length=MAX_TOKEN_LENGTH)]
