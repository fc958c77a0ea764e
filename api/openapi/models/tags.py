"""Tags, changes of them, and jobs."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.handlers.tags import MAX_IMAGES, MAX_TAGS, MAX_TOKEN_LENGTH
from api.openapi.models.fields import Count, Id, Timestamp, no_extra_members
from tagify.model import JobState
from tagify.tagnames import MAX_LENGTH

TagName = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]
TagNames = Annotated[list[TagName], Field(max_length=MAX_TAGS)]
UndoToken = Annotated[str | None, Field(description="Takes the change back within the hour.")]


@no_extra_members
class TagCountSchema(TypedDict):
    """A tag, and the number of images that carry it."""

    _id: str
    count: Count


@no_extra_members
class RetaggedSchema(TypedDict):
    """The tags of an image after a change, and what the change did."""

    _id: Id
    tags: list[str]
    added: list[str]
    removed: list[str]


class RetaggedOneSchema(RetaggedSchema):
    """The same of a change of one image."""

    undo: UndoToken


@no_extra_members
class ChangedSchema(TypedDict):
    """What a change of many images did."""

    changed: Count
    added: Annotated[dict[str, Count], Field(description="Images by tag that was put on.")]
    removed: Annotated[dict[str, Count], Field(description="Images by tag that was taken off.")]
    undo: UndoToken
    images: list[RetaggedSchema]


@no_extra_members
class ChangeSchema(TypedDict):
    """A change of many images."""

    ids: Annotated[list[Id], Field(max_length=MAX_IMAGES)]
    add: NotRequired[TagNames]
    remove: NotRequired[TagNames]


# "from" is no name in Python, so the fields are written as texts here.
NewRenameSchema = TypedDict(
    "NewRenameSchema", {"from": TagName, "to": TagName, "library_id": NotRequired[Id | None]}
)
"""A tag that is to have another name; where the name is a tag already the two become one."""

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
"""A job that renames a tag, and how far it is."""


class UndoWishSchema(TypedDict):
    """The token that a change was answered with."""

    undo: Annotated[str, Field(max_length=MAX_TOKEN_LENGTH)]
