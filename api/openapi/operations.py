"""Every route of the API, described. A test holds that none is missing and none is made up."""

from typing import Final

from api.handlers.images import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET
from api.openapi import models
from api.openapi.operation import Operation, Parameter, ResponseSpec, Schema
from api.query_params import MAX_FOLDER_LENGTH, MAX_TAGS
from tagify.catalog import MAX_OFFSET_SCAN, Sort
from tagify.model import ImageState
from tagify.tagnames import MAX_LENGTH

_ID_SCHEMA: Final = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
_TAG_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH}
_FLAG_SCHEMA: Final = {"type": "string", "enum": ["1", "0"]}
_TAGS_SCHEMA: Final = {"type": "array", "items": _TAG_SCHEMA, "maxItems": MAX_TAGS}
_TIME_SCHEMA: Final = {"type": "string", "format": "date-time"}
_NOT_MODIFIED: Final = ResponseSpec(304, "What the client has is still right.")
_LIBRARY_ID: Final = Parameter("library_id", "Only of this library.", _ID_SCHEMA)


def _enum_schema(values: type[ImageState | Sort]) -> Schema:
    return {"type": "string", "enum": [value.value for value in values]}


def _integer_schema(low: int, high: int, default: int | None = None) -> Schema:
    schema: dict[str, object] = {"type": "integer", "minimum": low, "maximum": high}
    return schema if default is None else {**schema, "default": default}


_LIST_PARAMETERS: Final = (
    _LIBRARY_ID,
    Parameter("tags", "Only with these tags, in any case.", _TAGS_SCHEMA, repeatable=True),
    Parameter(
        "logic", "Whether all of the tags are asked for, or any.", {"type": "string", "enum": ["and", "or"]}
    ),
    Parameter("exclude", "Without these tags.", _TAGS_SCHEMA, repeatable=True),
    Parameter("no_tags", "1: only without any tag; not along with tags.", _FLAG_SCHEMA),
    Parameter(
        "path",
        "Only below this folder; asks for library_id.",
        {"type": "string", "maxLength": MAX_FOLDER_LENGTH},
    ),
    Parameter("taken_from", "Only taken then or later.", _TIME_SCHEMA),
    Parameter("taken_to", "Only taken before then.", _TIME_SCHEMA),
    Parameter("state", "Images in this state; ready where none is named.", _enum_schema(ImageState)),
    Parameter("sort", "The order; some filters have only one.", _enum_schema(Sort)),
    Parameter("after", "Go on behind this cursor."),
    Parameter("before", "Go back from this cursor."),
    Parameter("limit", "Images on a page.", _integer_schema(1, MAX_LIMIT, DEFAULT_LIMIT)),
    Parameter(
        "offset",
        "Deprecated: so many are passed over, and the answer is a bare array. With several tags or exclude "
        f"it holds what is among the newest {MAX_OFFSET_SCAN:,} images, and only cursors lead further.",
        _integer_schema(0, MAX_OFFSET),
    ),
)


def _page_operation(summary: str, media_type: str = "text/html") -> Operation:
    return Operation("pages", summary, (ResponseSpec(200, "The file.", str, media_type), _NOT_MODIFIED))


def _redirect_operation(summary: str) -> Operation:
    redirect = ResponseSpec(307, "It is at the edge.", headers={"Location": "The same path at the edge."})
    return Operation(
        "images",
        summary,
        (redirect,),
        query_params=(Parameter("v", "The content, for a URL that never changes."),),
    )


def _library_operation(summary: str, status: int, description: str, body: object = None) -> Operation:
    return Operation(
        "libraries", summary, (ResponseSpec(status, description, models.LibrarySchema),), body=body
    )


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("GET", "/api/images"): Operation(
        "images",
        "A list of images, page by page",
        (
            ResponseSpec(
                200,
                "A page; a bare array where offset is given.",
                models.PageSchema | list[models.PlainImageSchema],
                headers={"ETag": "Names this page.", "Deprecation": "Where offset is given (RFC 9745)."},
            ),
            _NOT_MODIFIED,
        ),
        query_params=_LIST_PARAMETERS,
    ),
    ("GET", "/api/images/{id}"): Operation(
        "images", "All that is known of an image", (ResponseSpec(200, "The image.", models.ImageSchema),)
    ),
    ("GET", "/api/images/{id}/url"): Operation(
        "images",
        "A pre-signed URL of the store",
        (ResponseSpec(200, "Good for an hour.", models.SignedUrlSchema),),
        query_params=(
            Parameter(
                "kind",
                "Of which bytes.",
                {"type": "string", "enum": ["thumb", "original"], "default": "thumb"},
            ),
        ),
    ),
    ("GET", "/api/images/{id}/thumb"): _redirect_operation("The thumbnail"),
    ("GET", "/api/images/{id}/file"): _redirect_operation("The original"),
    ("POST", "/api/images/tags"): Operation(
        "tags",
        "Put tags on many images, and take tags off them",
        (ResponseSpec(200, "What it did.", models.ChangedSchema),),
        body=models.ChangeSchema,
    ),
    ("POST", "/api/tags/undo"): Operation(
        "tags",
        "Take a change back",
        (ResponseSpec(200, "What it did.", models.ChangedSchema),),
        body=models.UndoWishSchema,
    ),
    ("POST", "/api/tags/apply/{id}"): Operation(
        "tags",
        "Put tags on an image",
        (ResponseSpec(200, "Its tags now.", models.RetaggedOneSchema),),
        body=models.TagNames,
    ),
    ("POST", "/api/tags/remove/{id}"): Operation(
        "tags",
        "Take tags off an image",
        (ResponseSpec(200, "Its tags now.", models.RetaggedOneSchema),),
        body=models.TagNames,
    ),
    ("POST", "/api/tags/rename"): Operation(
        "tags",
        "Rename a tag, or make two tags one",
        (
            ResponseSpec(
                202, "It is begun.", models.RenameSchema, headers={"Location": "Where to ask how far it is."}
            ),
        ),
        body=models.NewRenameSchema,
    ),
    ("GET", "/api/jobs/{id}"): Operation(
        "tags", "How far a job is", (ResponseSpec(200, "So far.", models.RenameSchema),)
    ),
    ("GET", "/api/tags"): Operation(
        "tags",
        "Tags and their counts, most used first",
        (
            ResponseSpec(
                200,
                "The tags.",
                list[models.TagCountSchema],
                headers={"ETag": "Changes when one of the counts does."},
            ),
            _NOT_MODIFIED,
        ),
        query_params=(
            _LIBRARY_ID,
            Parameter("prefix", "Only those that begin so, in any case."),
            Parameter("limit", "So many at most.", _integer_schema(1, 5000, 500)),
        ),
    ),
    ("GET", "/api/libraries"): Operation(
        "libraries",
        "All libraries",
        (
            ResponseSpec(
                200,
                "The libraries.",
                list[models.LibrarySchema],
                headers={"ETag": "Changes with any of them."},
            ),
            _NOT_MODIFIED,
        ),
    ),
    ("POST", "/api/libraries"): _library_operation(
        "Add a library", 201, "It is there.", models.NewLibrarySchema
    ),
    ("PATCH", "/api/libraries/{id}"): _library_operation(
        "Rename a library", 200, "As it is now.", models.NewNameSchema
    ),
    ("DELETE", "/api/libraries/{id}"): _library_operation(
        "Take a library out of the catalog; its files stay", 202, "It goes."
    ),
    ("POST", "/api/libraries/{id}/rescan"): _library_operation(
        "Compare folder and catalog now", 202, "It will be compared soon."
    ),
    ("POST", "/api/libraries/{id}/approve"): _library_operation(
        "Remove what waits for an approval, and take the root for right", 202, "It will be done soon."
    ),
    ("GET", "/api/libraries/{id}/progress"): Operation(
        "libraries", "How far a library's scan is", (ResponseSpec(200, "So far.", models.ProgressSchema),)
    ),
    ("GET", "/api/events"): Operation(
        "events",
        "What happens, as it happens: image.added, image.changed, image.removed, library.changed, "
        "library.removed, reload",
        (ResponseSpec(200, "A stream that does not end.", str, "text/event-stream"),),
        headers=(Parameter("Last-Event-ID", "Go on behind this event."),),
    ),
    ("GET", "/api/health"): Operation(
        "service", "The service answers", (ResponseSpec(200, "So.", models.HealthSchema),)
    ),
    ("GET", "/livez"): Operation(
        "service", "The service answers", (ResponseSpec(200, "So.", models.HealthSchema),)
    ),
    ("GET", "/readyz"): Operation(
        "service",
        "What the service needs answers too",
        (
            ResponseSpec(200, "All of it.", models.ReadinessSchema),
            ResponseSpec(503, "Not all of it.", models.ReadinessSchema),
        ),
    ),
    ("GET", "/metrics"): Operation(
        "service",
        "Metrics in the text format of Prometheus",
        (ResponseSpec(200, "Metrics.", str, "text/plain"),),
    ),
    ("GET", "/api/openapi.json"): Operation(
        "service", "This document", (ResponseSpec(200, "OpenAPI 3.1.", dict[str, object]), _NOT_MODIFIED)
    ),
    ("GET", "/"): _page_operation("The gallery"),
    ("GET", "/gallery/{name}"): _page_operation("A file of the gallery", "*/*"),
    ("GET", "/api/docs"): _page_operation("This document for people"),
    ("GET", "/api/docs/{name}"): _page_operation("A file of that page", "*/*"),
}
