"""From a query string to what is asked for. Every mistake is a BadRequest that names the parameter."""

from typing import Literal

from aiohttp import web

from tagify.catalog import ImageFilter
from tagify.errors import BadRequest
from tagify.model import ImageId, ImageState, LibraryId, is_id
from tagify.tagnames import clean

MAX_TAGS = 50
"""Tags in one filter, at most."""

_TRUE = {"1", "true", "yes"}
_FALSE = {"", "0", "false", "no"}


def image_filter(request: web.Request) -> ImageFilter:
    """The filter of a list of images."""
    query = request.query
    return ImageFilter(
        library_id=library(request),
        tags=_tags(query.getall("tags", [])),
        logic=_logic(query.get("logic", "and")),
        no_tags=flag(request, "no_tags"),
        state=_state(query.get("state", ImageState.READY.value)),
    )


def library(request: web.Request) -> LibraryId | None:
    """The library that is asked for, or None for all."""
    text = request.query.get("library_id", "")
    if text and not is_id(text):
        raise BadRequest("library_id must be an id of 24 hex digits")
    return LibraryId(text) if text else None


def flag(request: web.Request, name: str) -> bool:
    """A yes or no; absent is no."""
    text = request.query.get(name, "").lower()
    if text not in _TRUE | _FALSE:
        raise BadRequest(f"{name} must be 1 or 0")
    return text in _TRUE


def tag_names(names: object, what: str, limit: int) -> tuple[str, ...]:
    """Clean tag names from a body. Raises BadRequest with the reason."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequest(f"{what} must be an array of tags")
    if len(names) > limit:
        raise BadRequest(f"{what}: at most {limit} tags at once")
    try:
        return tuple(dict.fromkeys(clean(name) for name in names))
    except ValueError as error:
        raise BadRequest(f"{what}: {error}") from error


def image_ids(ids: object, limit: int) -> tuple[ImageId, ...]:
    """Ids from a body. Raises BadRequest."""
    if not isinstance(ids, list) or not all(isinstance(item, str) and is_id(item) for item in ids):
        raise BadRequest("ids must be an array of ids of 24 hex digits")
    if len(ids) > limit:
        raise BadRequest(f"ids: at most {limit} images at once")
    return tuple(ImageId(item) for item in ids)


def _tags(names: list[str]) -> tuple[str, ...]:
    return tag_names([name for name in names if name], "tags", MAX_TAGS)


def _logic(text: str) -> Literal["and", "or"]:
    match text:
        case "and" | "or":
            return text
        case _:
            raise BadRequest("logic must be and or or")


def _state(text: str) -> ImageState:
    try:
        return ImageState(text)
    except ValueError:
        raise BadRequest(f"state must be one of {', '.join(ImageState)}") from None
