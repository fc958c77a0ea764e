"""Images and their lists."""

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.openapi.models.fields import Content, Count, Id, Time, exact
from tagify.model import ImageState


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
