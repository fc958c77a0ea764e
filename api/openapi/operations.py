"""Every route of the API, described. A test holds that none is missing and none is made up."""

from typing import Final

from api.handlers.images import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET
from api.openapi import models
from api.openapi.operation import Answer, Operation, Query, Schema
from api.query_params import MAX_FOLDER, MAX_TAGS
from tagify.catalog import MAX_OFFSET_SCAN, Sort
from tagify.model import ImageState
from tagify.tagnames import MAX_LENGTH

_ID: Final = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
_TAG: Final = {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH}
_FLAG: Final = {"type": "string", "enum": ["1", "0"]}
_TAGS: Final = {"type": "array", "items": _TAG, "maxItems": MAX_TAGS}
_TIME: Final = {"type": "string", "format": "date-time"}
_KNOWN: Final = Answer(304, "What the client has is still right.")
_LIBRARY: Final = Query("library_id", "Only of this library.", _ID)


def _enum(values: type[ImageState | Sort]) -> Schema:
    return {"type": "string", "enum": [value.value for value in values]}


def _range(low: int, high: int, default: int | None = None) -> Schema:
    schema: dict[str, object] = {"type": "integer", "minimum": low, "maximum": high}
    return schema if default is None else {**schema, "default": default}


_FILTER: Final = (
    _LIBRARY,
    Query("tags", "Only with these tags, in any case.", _TAGS, many=True),
    Query(
        "logic", "Whether all of the tags are asked for, or any.", {"type": "string", "enum": ["and", "or"]}
    ),
    Query("exclude", "Without these tags.", _TAGS, many=True),
    Query("no_tags", "1: only without any tag; not along with tags.", _FLAG),
    Query(
        "path", "Only below this folder; asks for library_id.", {"type": "string", "maxLength": MAX_FOLDER}
    ),
    Query("taken_from", "Only taken then or later.", _TIME),
    Query("taken_to", "Only taken before then.", _TIME),
    Query("state", "Images in this state; ready where none is named.", _enum(ImageState)),
    Query("sort", "The order; some filters have only one.", _enum(Sort)),
    Query("after", "Go on behind this cursor."),
    Query("before", "Go back from this cursor."),
    Query("limit", "Images on a page.", _range(1, MAX_LIMIT, DEFAULT_LIMIT)),
    Query(
        "offset",
        "Deprecated: so many are passed over, and the answer is a bare array. With several tags or exclude "
        f"it holds what is among the newest {MAX_OFFSET_SCAN:,} images, and only cursors lead further.",
        _range(0, MAX_OFFSET),
    ),
)


def _page(summary: str, kind: str = "text/html") -> Operation:
    return Operation("pages", summary, (Answer(200, "The file.", str, kind), _KNOWN))


def _to_edge(summary: str) -> Operation:
    there = Answer(307, "It is at the edge.", headers={"Location": "The same path at the edge."})
    return Operation(
        "images", summary, (there,), query=(Query("v", "The content, for a URL that never changes."),)
    )


def _of_library(summary: str, status: int, about: str, body: object = None) -> Operation:
    return Operation("libraries", summary, (Answer(status, about, models.Library),), body=body)


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("GET", "/api/images"): Operation(
        "images",
        "A list of images, page by page",
        (
            Answer(
                200,
                "A page; a bare array where offset is given.",
                models.Page | list[models.PlainImage],
                headers={"ETag": "Names this page.", "Deprecation": "Where offset is given (RFC 9745)."},
            ),
            _KNOWN,
        ),
        query=_FILTER,
    ),
    ("GET", "/api/images/{id}"): Operation(
        "images", "All that is known of an image", (Answer(200, "The image.", models.Image),)
    ),
    ("GET", "/api/images/{id}/url"): Operation(
        "images",
        "A pre-signed URL of the store",
        (Answer(200, "Good for an hour.", models.SignedUrl),),
        query=(
            Query(
                "kind",
                "Of which bytes.",
                {"type": "string", "enum": ["thumb", "original"], "default": "thumb"},
            ),
        ),
    ),
    ("GET", "/api/images/{id}/thumb"): _to_edge("The thumbnail"),
    ("GET", "/api/images/{id}/file"): _to_edge("The original"),
    ("POST", "/api/images/tags"): Operation(
        "tags",
        "Put tags on many images, and take tags off them",
        (Answer(200, "What it did.", models.Changed),),
        body=models.Change,
    ),
    ("POST", "/api/tags/undo"): Operation(
        "tags",
        "Take a change back",
        (Answer(200, "What it did.", models.Changed),),
        body=models.UndoWish,
    ),
    ("POST", "/api/tags/apply/{id}"): Operation(
        "tags",
        "Put tags on an image",
        (Answer(200, "Its tags now.", models.RetaggedOne),),
        body=models.TagNames,
    ),
    ("POST", "/api/tags/remove/{id}"): Operation(
        "tags",
        "Take tags off an image",
        (Answer(200, "Its tags now.", models.RetaggedOne),),
        body=models.TagNames,
    ),
    ("POST", "/api/tags/rename"): Operation(
        "tags",
        "Rename a tag, or make two tags one",
        (Answer(202, "It is begun.", models.Rename, headers={"Location": "Where to ask how far it is."}),),
        body=models.NewRename,
    ),
    ("GET", "/api/jobs/{id}"): Operation(
        "tags", "How far a job is", (Answer(200, "So far.", models.Rename),)
    ),
    ("GET", "/api/tags"): Operation(
        "tags",
        "Tags and their counts, most used first",
        (
            Answer(
                200,
                "The tags.",
                list[models.TagCount],
                headers={"ETag": "Changes when one of the counts does."},
            ),
            _KNOWN,
        ),
        query=(
            _LIBRARY,
            Query("prefix", "Only those that begin so, in any case."),
            Query("limit", "So many at most.", _range(1, 5000, 500)),
        ),
    ),
    ("GET", "/api/libraries"): Operation(
        "libraries",
        "All libraries",
        (
            Answer(
                200, "The libraries.", list[models.Library], headers={"ETag": "Changes with any of them."}
            ),
            _KNOWN,
        ),
    ),
    ("POST", "/api/libraries"): _of_library("Add a library", 201, "It is there.", models.NewLibrary),
    ("PATCH", "/api/libraries/{id}"): _of_library("Rename a library", 200, "As it is now.", models.NewName),
    ("DELETE", "/api/libraries/{id}"): _of_library(
        "Take a library out of the catalog; its files stay", 202, "It goes."
    ),
    ("POST", "/api/libraries/{id}/rescan"): _of_library(
        "Compare folder and catalog now", 202, "It will be compared soon."
    ),
    ("POST", "/api/libraries/{id}/approve"): _of_library(
        "Remove what waits for an approval, and take the root for right", 202, "It will be done soon."
    ),
    ("GET", "/api/libraries/{id}/progress"): Operation(
        "libraries", "How far a library's scan is", (Answer(200, "So far.", models.Progress),)
    ),
    ("GET", "/api/events"): Operation(
        "events",
        "What happens, as it happens: image.added, image.changed, image.removed, library.changed, "
        "library.removed, reload",
        (Answer(200, "A stream that does not end.", str, "text/event-stream"),),
        headers=(Query("Last-Event-ID", "Go on behind this event."),),
    ),
    ("GET", "/api/health"): Operation("service", "The service answers", (Answer(200, "So.", models.Health),)),
    ("GET", "/livez"): Operation("service", "The service answers", (Answer(200, "So.", models.Health),)),
    ("GET", "/readyz"): Operation(
        "service",
        "What the service needs answers too",
        (Answer(200, "All of it.", models.Readiness), Answer(503, "Not all of it.", models.Readiness)),
    ),
    ("GET", "/metrics"): Operation(
        "service", "Metrics in the text format of Prometheus", (Answer(200, "Metrics.", str, "text/plain"),)
    ),
    ("GET", "/api/openapi.json"): Operation(
        "service", "This document", (Answer(200, "OpenAPI 3.1.", dict[str, object]), _KNOWN)
    ),
    ("GET", "/"): _page("The gallery"),
    ("GET", "/gallery/{name}"): _page("A file of the gallery", "*/*"),
    ("GET", "/api/docs"): _page("This document for people"),
    ("GET", "/api/docs/{name}"): _page("A file of that page", "*/*"),
}
