"""Schemas of images and image lists."""

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.openapi.models.fields import ContentHash, Count, Id, Timestamp, no_extra_members
from tagify.model import ImageState

_DAMAGED = "Some pixels of the file could not be read; the image is shown as far as it can be read."


@no_extra_members
class TileSchema(TypedDict):
    """An image in a list, with the members that a grid needs."""

    _id: Id
    path: Annotated[str, Field(description="Relative to the library, with `/` as separator.")]
    width: Count
    height: Count
    placeholder: Annotated[str, Field(description="ThumbHash in base64.")]
    content: NotRequired[ContentHash]
    thumb: NotRequired[
        Annotated[str, Field(description="Pre-signed URL, if TAGIFY_MEDIA_MODE is presigned.")]
    ]
    original: NotRequired[
        Annotated[
            str,
            Field(
                description="Pre-signed URL, if TAGIFY_MEDIA_MODE is presigned; of a failed image the URL "
                "that downloads its file, if that is stored."
            ),
        ]
    ]
    error: NotRequired[str]
    damaged: NotRequired[Annotated[bool, Field(description=f"Present if true. {_DAMAGED}")]]


@no_extra_members
class MediaSchema(TypedDict):
    """URL templates: a name in braces stands for that member of an item, `{w}` for one of the widths."""

    thumb: str
    original: str
    variant: str
    widths: list[int]


@no_extra_members
class PageSchema(TypedDict):
    """A page of a list, with the cursors of the next and the previous page."""

    items: list[TileSchema]
    next_cursor: str | None
    prev_cursor: str | None
    media: MediaSchema


@no_extra_members
class PlainImageSchema(TypedDict):
    """An image in the deprecated list form."""

    _id: Id
    path: str
    width: Count
    height: Count


@no_extra_members
class VariantSchema(TypedDict):
    """The image scaled to a width."""

    width: Count
    url: str


@no_extra_members
class PositionSchema(TypedDict):
    """Coordinates in degrees (WGS 84), north and east positive."""

    latitude: float
    longitude: float


@no_extra_members
class ImageSchema(TypedDict):
    """An image with all its members."""

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
    damaged: Annotated[bool, Field(description=_DAMAGED)]
    added_at: Timestamp | None
    updated_at: Timestamp | None


@no_extra_members
class SignedUrlSchema(TypedDict):
    """A URL of the S3 server that needs no credentials until it expires."""

    url: str
    expires_at: Timestamp
