"""Tags, changes of them, and jobs."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.handlers.tags import MAX_IMAGES, MAX_TAGS, MAX_TOKEN
from api.openapi.models.fields import Count, Id, Time, exact
from tagify.model import JobState
from tagify.tagnames import MAX_LENGTH

TagName = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]
TagNames = Annotated[list[TagName], Field(max_length=MAX_TAGS)]
Undo = Annotated[str | None, Field(description="Takes the change back within the hour.")]


@exact
class TagCount(TypedDict):
    """A tag, and the number of images that carry it."""

    _id: str
    count: Count


@exact
class Retagged(TypedDict):
    """The tags of an image after a change, and what the change did."""

    _id: Id
    tags: list[str]
    added: list[str]
    removed: list[str]


class RetaggedOne(Retagged):
    """The same of a change of one image."""

    undo: Undo


@exact
class Changed(TypedDict):
    """What a change of many images did."""

    changed: Count
    added: Annotated[dict[str, Count], Field(description="Images by tag that was put on.")]
    removed: Annotated[dict[str, Count], Field(description="Images by tag that was taken off.")]
    undo: Undo
    images: list[Retagged]


@exact
class Change(TypedDict):
    """A change of many images."""

    ids: Annotated[list[Id], Field(max_length=MAX_IMAGES)]
    add: NotRequired[TagNames]
    remove: NotRequired[TagNames]


# "from" is no name in Python, so the fields are written as texts here.
NewRename = TypedDict("NewRename", {"from": TagName, "to": TagName, "library_id": NotRequired[Id | None]})
"""A tag that is to have another name; where the name is a tag already the two become one."""

Rename = TypedDict(
    "Rename",
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
        "created_at": Time | None,
        "finished_at": Time | None,
    },
)
"""A job that renames a tag, and how far it is."""


class UndoWish(TypedDict):
    """The token that a change was answered with."""

    undo: Annotated[str, Field(max_length=MAX_TOKEN)]
