"""From a query string to what is asked for. Every mistake is a BadRequest that names the parameter."""

from datetime import UTC, datetime
from typing import Literal

from aiohttp import web

from tagify.catalog import ImageFilter, Sort
from tagify.errors import BadRequest
from tagify.model import ImageId, ImageState, LibraryId, is_id
from tagify.tagnames import normalize_tag

MAX_TAGS = 50
"""Tags in one filter, at most."""

MAX_FOLDER = 4096
"""Characters in the path of a folder, at most."""

_TRUE = {"1", "true", "yes"}
_FALSE = {"", "0", "false", "no"}


def image_filter(request: web.Request) -> ImageFilter:
    """The filter of a list of images."""
    query = request.query
    which = ImageFilter(
        library_id=library(request),
        tags=_tags(request, "tags"),
        logic=_logic(query.get("logic", "and")),
        exclude=_tags(request, "exclude"),
        no_tags=flag(request, "no_tags"),
        folder=_folder(query.get("path", "")),
        taken_from=_moment(request, "taken_from"),
        taken_to=_moment(request, "taken_to"),
        state=_state(query.get("state", ImageState.READY.value)),
    )
    if which.folder and which.library_id is None:
        raise BadRequest("path names a folder of one library: give library_id too")
    # Clients of the deprecated form know no refusal here; there no_tags goes before tags.
    if which.no_tags and which.tags and "offset" not in query:
        raise BadRequest("no_tags and tags exclude each other: leave one of them out")
    return which


def sort_of(request: web.Request, which: ImageFilter) -> Sort:
    """The order of a list: what is asked for, else what its filter needs, else the newest first.

    Raises BadRequest for an order in which no index serves the filter: it would be a walk over all images.
    """
    taken = which.taken_from is not None or which.taken_to is not None
    if which.folder and taken:
        raise BadRequest("path and taken_from or taken_to exclude each other: no index serves both")
    needed = Sort.PATH if which.folder else Sort.TAKEN_AT if taken else None
    sort = _sort(request.query.get("sort", needed or Sort.NEWEST))
    if needed and sort is not needed:
        given = "path" if which.folder else "taken_from or taken_to"
        raise BadRequest(f"a list with {given} is sorted by {needed}: no index serves sort={sort}")
    if sort is Sort.PATH and which.library_id is None:
        raise BadRequest("sort=path is the order of one library: give library_id too")
    if sort is Sort.TAKEN_AT and which.state is not ImageState.READY:
        raise BadRequest("sort=taken_at needs state=ready: of other images it may not be known when")
    return sort


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
        return tuple(dict.fromkeys(normalize_tag(name) for name in names))
    except ValueError as error:
        raise BadRequest(f"{what}: {error}") from error


def image_ids(ids: object, limit: int) -> tuple[ImageId, ...]:
    """Ids from a body. Raises BadRequest."""
    if not isinstance(ids, list) or not all(isinstance(item, str) and is_id(item) for item in ids):
        raise BadRequest("ids must be an array of ids of 24 hex digits")
    if len(ids) > limit:
        raise BadRequest(f"ids: at most {limit} images at once")
    return tuple(ImageId(item) for item in ids)


def _tags(request: web.Request, name: str) -> tuple[str, ...]:
    return tag_names([text for text in request.query.getall(name, []) if text], name, MAX_TAGS)


def _folder(text: str) -> str:
    folder = text.strip("/")
    if len(folder) > MAX_FOLDER or {"", ".", ".."} & set(folder.split("/") if folder else ()):
        raise BadRequest("path must be that of a folder in its library, like 2024/summer")
    return folder


def _moment(request: web.Request, name: str) -> datetime | None:
    if not (text := request.query.get(name, "")):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"{name} must be a date or a time like 2024-07-01 or 2024-07-01T12:00:00Z") from None


def _sort(text: str) -> Sort:
    try:
        return Sort(text)
    except ValueError:
        raise BadRequest(f"sort must be one of {', '.join(Sort)}") from None


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
