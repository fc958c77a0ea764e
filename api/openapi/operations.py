"""The descriptions of all API routes. A test compares them with the route table."""

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
_NOT_MODIFIED: Final = ResponseSpec(304, "Not modified: the client's copy is current.")
_LIBRARY_ID: Final = Parameter("library_id", "Only images of this library.", _ID_SCHEMA)


def _enum_schema(values: type[ImageState | Sort]) -> Schema:
    return {"type": "string", "enum": [value.value for value in values]}


def _integer_schema(low: int, high: int, default: int | None = None) -> Schema:
    schema: dict[str, object] = {"type": "integer", "minimum": low, "maximum": high}
    return schema if default is None else {**schema, "default": default}


_LIST_PARAMETERS: Final = (
    _LIBRARY_ID,
    Parameter("tags", "Only images with these tags; case is ignored.", _TAGS_SCHEMA, repeatable=True),
    Parameter(
        "logic",
        "`and`: images with all of the tags (default). `or`: images with any of them.",
        {"type": "string", "enum": ["and", "or"]},
    ),
    Parameter("exclude", "Only images without these tags.", _TAGS_SCHEMA, repeatable=True),
    Parameter("no_tags", "1: only images without tags. Excludes `tags`.", _FLAG_SCHEMA),
    Parameter(
        "path",
        "Only images in this folder and its subfolders. Requires `library_id`.",
        {"type": "string", "maxLength": MAX_FOLDER_LENGTH},
    ),
    Parameter("taken_from", "Only images taken at this time or later.", _TIME_SCHEMA),
    Parameter("taken_to", "Only images taken before this time.", _TIME_SCHEMA),
    Parameter("state", "Only images in this state; `ready` by default.", _enum_schema(ImageState)),
    Parameter("sort", "Sort order; some filters support only one.", _enum_schema(Sort)),
    Parameter("after", "The page after this cursor (`next_cursor` of a page)."),
    Parameter("before", "The page before this cursor (`prev_cursor` of a page)."),
    Parameter("limit", "Maximum number of images on a page.", _integer_schema(1, MAX_LIMIT, DEFAULT_LIMIT)),
    Parameter(
        "offset",
        "Deprecated: the number of images to skip; the response is a bare array. With several tags or "
        f"`exclude`, only the newest {MAX_OFFSET_SCAN:,} images are searched; use cursors for more.",
        _integer_schema(0, MAX_OFFSET),
    ),
)


def _page_operation(summary: str, media_type: str = "text/html") -> Operation:
    return Operation("pages", summary, (ResponseSpec(200, "The file.", str, media_type), _NOT_MODIFIED))


def _redirect_operation(summary: str) -> Operation:
    redirect = ResponseSpec(307, "Redirect to the edge.", headers={"Location": "The same path at the edge."})
    return Operation(
        "images",
        summary,
        (redirect,),
        query_params=(Parameter("v", "The image's `content`: makes the URL immutable."),),
    )


def _library_operation(summary: str, status: int, description: str, body: object = None) -> Operation:
    return Operation(
        "libraries", summary, (ResponseSpec(status, description, models.LibrarySchema),), body=body
    )


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("GET", "/api/images"): Operation(
        "images",
        "List images, with keyset pagination",
        (
            ResponseSpec(
                200,
                "A page of images; a bare array with `offset`.",
                models.PageSchema | list[models.PlainImageSchema],
                headers={"ETag": "Entity tag of this page.", "Deprecation": "With `offset` (RFC 9745)."},
            ),
            _NOT_MODIFIED,
        ),
        query_params=_LIST_PARAMETERS,
    ),
    ("GET", "/api/images/{id}"): Operation(
        "images", "Get an image with all its members", (ResponseSpec(200, "The image.", models.ImageSchema),)
    ),
    ("GET", "/api/images/{id}/url"): Operation(
        "images",
        "Get a pre-signed URL of the S3 server",
        (ResponseSpec(200, "The URL, valid for an hour.", models.SignedUrlSchema),),
        query_params=(
            Parameter(
                "kind",
                "The thumbnail or the original.",
                {"type": "string", "enum": ["thumb", "original"], "default": "thumb"},
            ),
        ),
    ),
    ("GET", "/api/images/{id}/thumb"): _redirect_operation("Get the thumbnail"),
    ("GET", "/api/images/{id}/file"): _redirect_operation("Get the original"),
    ("GET", "/media/{content}/{name}"): _redirect_operation("Get the original or a variant"),
    ("POST", "/api/images/tags"): Operation(
        "tags",
        "Add tags to and remove tags from many images",
        (ResponseSpec(200, "The result of the change.", models.ChangedSchema),),
        body=models.ChangeSchema,
    ),
    ("POST", "/api/tags/undo"): Operation(
        "tags",
        "Undo a tag change",
        (ResponseSpec(200, "The result of the undo.", models.ChangedSchema),),
        body=models.UndoWishSchema,
    ),
    ("POST", "/api/tags/apply/{id}"): Operation(
        "tags",
        "Add tags to an image",
        (ResponseSpec(200, "The image's tags after the change.", models.RetaggedOneSchema),),
        body=models.TagNames,
    ),
    ("POST", "/api/tags/remove/{id}"): Operation(
        "tags",
        "Remove tags from an image",
        (ResponseSpec(200, "The image's tags after the change.", models.RetaggedOneSchema),),
        body=models.TagNames,
    ),
    ("POST", "/api/tags/rename"): Operation(
        "tags",
        "Rename a tag, or merge it into another tag",
        (
            ResponseSpec(
                202,
                "The job was created.",
                models.RenameSchema,
                headers={"Location": "URL of the job's status."},
            ),
        ),
        body=models.NewRenameSchema,
    ),
    ("GET", "/api/jobs/{id}"): Operation(
        "tags", "Get the status of a job", (ResponseSpec(200, "Job status.", models.RenameSchema),)
    ),
    ("GET", "/api/tags"): Operation(
        "tags",
        "List tags and their counts, most used first",
        (
            ResponseSpec(
                200,
                "The tags.",
                list[models.TagCountSchema],
                headers={"ETag": "Changes when one of the counts changes."},
            ),
            _NOT_MODIFIED,
        ),
        query_params=(
            _LIBRARY_ID,
            Parameter("prefix", "Only tags with this prefix; case is ignored."),
            Parameter("limit", "Maximum number of tags.", _integer_schema(1, 5000, 500)),
        ),
    ),
    ("GET", "/api/libraries"): Operation(
        "libraries",
        "List all libraries",
        (
            ResponseSpec(
                200,
                "The libraries.",
                list[models.LibrarySchema],
                headers={"ETag": "Changes when one of the libraries changes."},
            ),
            _NOT_MODIFIED,
        ),
    ),
    ("POST", "/api/libraries"): _library_operation(
        "Add a library; 409 `library-moved` if the folder is a library that was at another path",
        201,
        "The library was created.",
        models.NewLibrarySchema,
    ),
    ("PATCH", "/api/libraries/{id}"): _library_operation(
        "Rename a library, or move it to the new path of its folder; images keep their ids and tags",
        200,
        "The changed library.",
        models.LibraryChangeSchema,
    ),
    ("DELETE", "/api/libraries/{id}"): _library_operation(
        "Remove a library from the catalog; its files stay", 202, "Removal started."
    ),
    ("POST", "/api/libraries/{id}/rescan"): _library_operation(
        "Rescan a library now", 202, "The scan was requested."
    ),
    ("POST", "/api/libraries/{id}/approve"): _library_operation(
        "Approve what `pending_approval` names: waiting deletions, or another root folder; 409 if nothing is "
        "pending, or something else than the body names",
        202,
        "The approval was recorded.",
        models.ApprovalSchema,
    ),
    ("GET", "/api/libraries/{id}/progress"): Operation(
        "libraries",
        "Get the progress of a library's scan",
        (ResponseSpec(200, "Scan progress.", models.ProgressSchema),),
    ),
    ("GET", "/api/events"): Operation(
        "events",
        "Stream events: image.added, image.changed, image.removed, library.changed, library.removed, reload",
        (ResponseSpec(200, "An endless stream of events.", str, "text/event-stream"),),
        headers=(Parameter("Last-Event-ID", "Resume after the event with this id."),),
    ),
    ("GET", "/api/health"): Operation(
        "service", "Liveness: the service responds", (ResponseSpec(200, "Healthy.", models.HealthSchema),)
    ),
    ("GET", "/livez"): Operation(
        "service", "Liveness: the service responds", (ResponseSpec(200, "Healthy.", models.HealthSchema),)
    ),
    ("GET", "/readyz"): Operation(
        "service",
        "Readiness: the service and its dependencies respond",
        (
            ResponseSpec(200, "All dependencies respond.", models.ReadinessSchema),
            ResponseSpec(503, "A dependency is down.", models.ReadinessSchema),
        ),
    ),
    ("GET", "/metrics"): Operation(
        "service",
        "Metrics in Prometheus text format",
        (ResponseSpec(200, "Metrics.", str, "text/plain"),),
    ),
    ("GET", "/api/openapi.json"): Operation(
        "service",
        "This OpenAPI document",
        (ResponseSpec(200, "OpenAPI 3.1.", dict[str, object]), _NOT_MODIFIED),
    ),
    ("GET", "/"): _page_operation("The gallery page"),
    ("GET", "/gallery/{name}"): _page_operation("A file of the gallery page", "*/*"),
    ("GET", "/api/docs"): _page_operation("The API reference page"),
    ("GET", "/api/docs/{name}"): _page_operation("A file of the API reference page", "*/*"),
}
