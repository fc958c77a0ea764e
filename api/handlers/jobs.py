"""Work that takes longer than a request: asked for here, and how far it is."""

from aiohttp import hdrs, web

from api.app_keys import CATALOG, ITEMS
from api.serializers import Json
from tagify.errors import BadRequest, NotFound
from tagify.model import JobId, LibraryId, is_id
from tagify.tagnames import normalize_tag, tag_key
from tagify.web import json_response, read_json

FORM = 'the body must be {"from": "...", "to": "..."}, and "library_id" for one library alone'

routes = web.RouteTableDef()


@routes.post("/api/tags/rename")
async def rename(request: web.Request) -> web.Response:
    body = await read_json(request)
    if not isinstance(body, dict) or body.keys() - {"from", "to", "library_id"}:
        raise BadRequest(FORM)
    source, target = _name(body.get("from"), "from"), _name(body.get("to"), "to")
    library = _library(body.get("library_id"))
    if library and tag_key(source) == tag_key(target):
        raise BadRequest("a tag is spelt alike in all libraries: leave out library_id")
    job = await request.app[CATALOG].tag_jobs.enqueue_rename(source, target, library)
    answer: Json = request.app[ITEMS].job(job)
    return json_response(answer, status=202, headers={hdrs.LOCATION: f"/api/jobs/{job.id}"})


@routes.get("/api/jobs/{id}")
async def get_job(request: web.Request) -> web.Response:
    text = request.match_info["id"]
    job = await request.app[CATALOG].tag_jobs.get(JobId(text)) if is_id(text) else None
    if job is None:
        raise NotFound(f"there is no job {text}, or it was finished a week ago")
    return json_response(request.app[ITEMS].job(job), headers={hdrs.CACHE_CONTROL: "no-store"})


def _name(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise BadRequest(FORM)
    try:
        return normalize_tag(value)
    except ValueError as error:
        raise BadRequest(f"{what}: {error}") from error


def _library(value: object) -> LibraryId | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_id(value):
        raise BadRequest("library_id must be an id of 24 hex digits")
    return LibraryId(value)
