"""Images and their lists."""

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.openapi.models.fields import ContentHash, Count, Id, Timestamp, no_extra_members
from tagify.model import ImageState


@no_extra_members
class TileSchema(TypedDict):
    """An image as a grid needs it."""

    _id: Id
    path: Annotated[str, Field(description="Relative to the library, with /.")]
    width: Count
    height: Count
    placeholder: Annotated[str, Field(description="A ThumbHash in base64.")]
    content: NotRequired[ContentHash]
    thumb: NotRequired[Annotated[str, Field(description="Pre-signed, where that is the mode.")]]
    original: NotRequired[Annotated[str, Field(description="Pre-signed, where that is the mode.")]]
    error: NotRequired[str]


@no_extra_members
class MediaSchema(TypedDict):
    """Templates of media URLs: a name in braces is that member of an item, `{w}` one of the widths."""

    thumb: str
    original: str
    variant: str
    widths: list[int]


@no_extra_members
class PageSchema(TypedDict):
    """A page of a list, and the cursors that lead on and back."""

    items: list[TileSchema]
    next_cursor: str | None
    prev_cursor: str | None
    media: MediaSchema


@no_extra_members
class PlainImageSchema(TypedDict):
    """An image in the deprecated list."""

    _id: Id
    path: str
    width: Count
    height: Count


@no_extra_members
class VariantSchema(TypedDict):
    """An image in another width."""

    width: Count
    url: str


@no_extra_members
class PositionSchema(TypedDict):
    """Degrees (WGS 84), north and east positive."""

    latitude: float
    longitude: float


@no_extra_members
class ImageSchema(TypedDict):
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
    content: NotRequired[ContentHash]
    thumb: NotRequired[str]
    original: NotRequired[str]
    variants: NotRequired[list[VariantSchema]]
    size: Count
    mime: str
    taken_at: Timestamp | None
    camera: str
    lens: str
    position: PositionSchema | None
    frames: Count
    added_at: Timestamp | None
    updated_at: Timestamp | None


@no_extra_members
class SignedUrlSchema(TypedDict):
    """A URL of the store that anybody may use until it expires."""

    url: str
    expires_at: Timestamp
