"""What the API is sent and what it answers, as types: the schemas of the OpenAPI document.

Answers are written by `api.items` and the handlers; a test holds that what they write is this
and nothing beside it.
"""

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from api.handlers.libraries import MAX_NAME
from api.handlers.tags import MAX_IMAGES, MAX_TAGS, MAX_TOKEN
from tagify.model import ImageState, JobState, LibraryState
from tagify.tagnames import MAX_LENGTH

exact = with_config(ConfigDict(extra="forbid"))

Id = Annotated[str, Field(pattern="^[0-9a-f]{24}$", description="24 hex digits.")]
Content = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the file's bytes, in hex.")]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]
TagName = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]
TagNames = Annotated[list[TagName], Field(max_length=MAX_TAGS)]
Undo = Annotated[str | None, Field(description="Takes the change back within the hour.")]


@exact
class Tile(TypedDict):
    """An image as a grid needs it."""

    _id: Id
    path: Annotated[str, Field(description="Relative to the library, with /.")]
    width: Count
    height: Count
    placeholder: Annotated[str, Field(description="A ThumbHash in base64.")]
    content: NotRequired[Content]
    thumb: NotRequired[Annotated[str, Field(description="Pre-signed, where that is the mode.")]]
    original: NotRequired[Annotated[str, Field(description="Pre-signed, where that is the mode.")]]
    error: NotRequired[str]


@exact
class Media(TypedDict):
    """Templates of media URLs: a name in braces is that member of an item, `{w}` one of the widths."""

    thumb: str
    original: str
    variant: str
    widths: list[int]


@exact
class Page(TypedDict):
    """A page of a list, and the cursors that lead on and back."""

    items: list[Tile]
    next_cursor: str | None
    prev_cursor: str | None
    media: Media


@exact
class PlainImage(TypedDict):
    """An image in the deprecated list."""

    _id: Id
    path: str
    width: Count
    height: Count


@exact
class Variant(TypedDict):
    """An image in another width."""

    width: Count
    url: str


@exact
class Position(TypedDict):
    """Degrees (WGS 84), north and east positive."""

    latitude: float
    longitude: float


@exact
class Image(TypedDict):
    """All that is known of an image."""

    _id: Id
    library_id: Id
    path: str
    width: Count
    height: Count
    tags: list[str]
    placeholder: str
    state: ImageState
    error: str
    content: NotRequired[Content]
    thumb: NotRequired[str]
    original: NotRequired[str]
    variants: NotRequired[list[Variant]]
    size: Count
    mime: str
    taken_at: Time | None
    camera: str
    lens: str
    position: Position | None
    frames: Count
    added_at: Time | None
    updated_at: Time | None


@exact
class SignedUrl(TypedDict):
    """A URL of the store that anybody may use until it expires."""

    url: str
    expires_at: Time


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


@exact
class Progress(TypedDict):
    """How far a library's scan is, and what it waits for."""

    state: LibraryState
    scanning: bool
    scan_total: Count
    scan_done: Count
    indexed_count: Count
    last_scanned: Time | None
    scan_error: str
    removal_waiting: Count
    removal_since: Time | None


class Library(Progress):
    """A library."""

    _id: Id
    name: str
    path: str


class NewLibrary(TypedDict):
    """A folder that is to be a library."""

    path: Annotated[str, Field(pattern="^/", description="Absolute, below an allowed root.")]
    name: NotRequired[Annotated[str, Field(min_length=1, max_length=MAX_NAME)]]


class NewName(TypedDict):
    """Another name for a library."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=r"\S")]


@exact
class Health(TypedDict):
    """The service answers."""

    status: Literal["ok"]


@exact
class Readiness(TypedDict):
    """Whether each dependency is well, in words."""

    status: Literal["ok", "unready"]
    checks: dict[str, str]


class Problem(TypedDict):
    """An error (RFC 9457). `type` never changes; `detail` is a sentence for people."""

    type: Annotated[str, Field(pattern="^urn:tagify:problem:")]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: NotRequired[str]
