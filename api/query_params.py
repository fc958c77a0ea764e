"""Parsing of query and body parameters. Invalid input raises BadRequest with the parameter's name."""

from datetime import UTC, datetime
from typing import Literal

from aiohttp import web

from tagify.catalog import ImageFilter, Sort
from tagify.errors import BadRequest
from tagify.model import ImageId, ImageState, LibraryId, is_id
from tagify.tagnames import normalize_existing_tag, normalize_tag

MAX_TAGS = 50
"""Maximum number of tags in a filter."""

MAX_FOLDER_LENGTH = 4096
"""Maximum length of a folder's path, in characters."""

_TRUE = {"1", "true", "yes"}
_FALSE = {"", "0", "false", "no"}


def parse_image_filter(request: web.Request) -> ImageFilter:
    """The image filter of a list request. Raises BadRequest."""
    query = request.query
    image_filter = ImageFilter(
        library_id=parse_library_id(request),
        tags=_parse_tags(request, "tags"),
        logic=_parse_logic(query.get("logic", "and")),
        exclude=_parse_tags(request, "exclude"),
        no_tags=parse_flag(request, "no_tags"),
        folder=_parse_folder(query.get("path", "")),
        taken_from=_parse_time(request, "taken_from"),
        taken_to=_parse_time(request, "taken_to"),
        state=_parse_state(query.get("state", ImageState.READY.value)),
    )
    if image_filter.folder and image_filter.library_id is None:
        raise BadRequest("`path` is a folder in one library: add `library_id`")
    # The deprecated form never rejected this combination: there no_tags takes precedence over tags.
    if image_filter.no_tags and image_filter.tags and "offset" not in query:
        raise BadRequest("`no_tags` and `tags` exclude each other: remove one of them")
    return image_filter


def parse_sort(request: web.Request, image_filter: ImageFilter) -> Sort:
    """The sort order of a list: the requested one, else the one the filter requires, else newest first.

    Raises BadRequest for an order that no index supports with this filter: it would scan all images.
    """
    by_time = image_filter.taken_from is not None or image_filter.taken_to is not None
    if image_filter.folder and by_time:
        raise BadRequest("`path` and `taken_from` or `taken_to` exclude each other: no index supports both")
    required = Sort.PATH if image_filter.folder else Sort.TAKEN_AT if by_time else None
    sort = _parse_sort_name(request.query.get("sort", required or Sort.NEWEST))
    if required and sort is not required:
        given = "path" if image_filter.folder else "taken_from or taken_to"
        raise BadRequest(f"a list with {given} is sorted by {required}: no index supports sort={sort}")
    if sort is Sort.PATH and image_filter.library_id is None:
        raise BadRequest("sort=path needs one library: add `library_id`")
    if sort is Sort.TAKEN_AT and image_filter.state is not ImageState.READY:
        raise BadRequest("sort=taken_at needs state=ready: other images may have no taken_at")
    return sort


def parse_library_id(request: web.Request) -> LibraryId | None:
    """The `library_id` parameter; None for all libraries."""
    text = request.query.get("library_id", "")
    if text and not is_id(text):
        raise BadRequest("`library_id` must be an id of 24 hex digits")
    return LibraryId(text) if text else None


def parse_flag(request: web.Request, name: str) -> bool:
    """A boolean parameter, false by default."""
    text = request.query.get(name, "").lower()
    if text not in _TRUE | _FALSE:
        raise BadRequest(f"`{name}` must be 1 or 0")
    return text in _TRUE


def parse_tag_names(names: object, field: str, limit: int, *, new: bool = False) -> tuple[str, ...]:
    """Tag names from a body, cleaned and without duplicates. `new`: for tags to add. Raises BadRequest."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequest(f"{field} must be an array of tags")
    if len(names) > limit:
        raise BadRequest(f"{field}: at most {limit} tags at once")
    try:
        return tuple(dict.fromkeys(map(normalize_tag if new else normalize_existing_tag, names)))
    except ValueError as error:
        raise BadRequest(f"{field}: {error}") from error


def parse_image_ids(ids: object, limit: int) -> tuple[ImageId, ...]:
    """Image ids from a body. Raises BadRequest."""
    if not isinstance(ids, list) or not all(isinstance(item, str) and is_id(item) for item in ids):
        raise BadRequest("`ids` must be an array of ids of 24 hex digits")
    if len(ids) > limit:
        raise BadRequest(f"`ids`: at most {limit} images at once")
    return tuple(ImageId(item) for item in ids)


def _parse_tags(request: web.Request, name: str) -> tuple[str, ...]:
    return parse_tag_names([text for text in request.query.getall(name, []) if text], name, MAX_TAGS)


def _parse_folder(text: str) -> str:
    folder = text.strip("/")
    if len(folder) > MAX_FOLDER_LENGTH or {"", ".", ".."} & set(folder.split("/") if folder else ()):
        raise BadRequest("`path` must be a folder relative to its library, like 2024/summer")
    return folder


def _parse_time(request: web.Request, name: str) -> datetime | None:
    if not (text := request.query.get(name, "")):
        return None
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"`{name}` must be a date or time like 2024-07-01 or 2024-07-01T12:00:00Z") from None


def _parse_sort_name(text: str) -> Sort:
    try:
        return Sort(text)
    except ValueError:
        raise BadRequest(f"`sort` must be one of {', '.join(Sort)}") from None


def _parse_logic(text: str) -> Literal["and", "or"]:
    match text:
        case "and" | "or":
            return text
        case _:
            raise BadRequest("`logic` must be `and` or `or`")


def _parse_state(text: str) -> ImageState:
    try:
        return ImageState(text)
    except ValueError:
        raise BadRequest(f"`state` must be one of {', '.join(ImageState)}") from None
