"""Jobs: tag renames that run in the background, and their status."""

from collections.abc import Callable

from aiohttp import hdrs, web

from api.app_keys import CATALOG, SERIALIZER
from api.serializers import Json
from tagify.errors import BadRequest, NotFound
from tagify.model import JobId, LibraryId, is_id
from tagify.tagnames import normalize_existing_tag, normalize_tag, tag_key
from tagify.web import json_response, read_json

BODY_FORM = 'the body must be {"from": "...", "to": "..."}, with "library_id" for only one library'

routes = web.RouteTableDef()


@routes.post("/api/tags/rename")
async def rename(request: web.Request) -> web.Response:
    body = await read_json(request)
    if not isinstance(body, dict) or body.keys() - {"from", "to", "library_id"}:
        raise BadRequest(BODY_FORM)
    source = _parse_tag_name(body.get("from"), "from", normalize_existing_tag)
    target = _parse_tag_name(body.get("to"), "to", normalize_tag)
    library = _parse_library_id(body.get("library_id"))
    if library and tag_key(source) == tag_key(target):
        raise BadRequest("a change of spelling applies to all libraries: remove `library_id`")
    job = await request.app[CATALOG].tag_jobs.enqueue_rename(source, target, library)
    job_json: Json = request.app[SERIALIZER].job(job)
    return json_response(job_json, status=202, headers={hdrs.LOCATION: f"/api/jobs/{job.id}"})


@routes.get("/api/jobs/{id}")
async def get_job(request: web.Request) -> web.Response:
    text = request.match_info["id"]
    job = await request.app[CATALOG].tag_jobs.get(JobId(text)) if is_id(text) else None
    if job is None:
        raise NotFound(f"there is no job {text}; finished jobs are deleted after a week")
    return json_response(request.app[SERIALIZER].job(job), headers={hdrs.CACHE_CONTROL: "no-store"})


def _parse_tag_name(value: object, field: str, normalize: Callable[[str], str]) -> str:
    if not isinstance(value, str):
        raise BadRequest(BODY_FORM)
    try:
        return normalize(value)
    except ValueError as error:
        raise BadRequest(f"{field}: {error}") from error


def _parse_library_id(value: object) -> LibraryId | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_id(value):
        raise BadRequest("`library_id` must be an id of 24 hex digits")
    return LibraryId(value)
