"""Tags: their counts, and putting them on images and taking them off."""

from collections.abc import Sequence

from aiohttp import hdrs, web

from api import query
from api.keys import CATALOG, ITEMS
from tagify.catalog import Tagged
from tagify.errors import BadRequest, NotFound
from tagify.model import ImageId, is_id
from tagify.web import json_response, query_int, read_json

MAX_TAGS = 100
"""Tags in one change, at most."""

MAX_IMAGES = 10_000
"""Images in one change, at most."""

routes = web.RouteTableDef()


@routes.get("/api/tags")
async def list_tags(request: web.Request) -> web.Response:
    counts = await request.app[CATALOG].tags.counts(
        query.library(request),
        prefix=request.query.get("prefix", "")[:100],
        limit=query_int(request, "limit", 500, 1, 5000),
    )
    items = request.app[ITEMS]
    return json_response([items.tag(tag) for tag in counts], headers={hdrs.CACHE_CONTROL: "no-cache"})


@routes.post("/api/tags/apply/{id}")
async def apply_tags(request: web.Request) -> web.Response:
    return await _change_one(request, add=await _names(request), remove=())


@routes.post("/api/tags/remove/{id}")
async def remove_tags(request: web.Request) -> web.Response:
    return await _change_one(request, add=(), remove=await _names(request))


@routes.post("/api/images/tags")
async def change_many(request: web.Request) -> web.Response:
    body = await read_json(request)
    if not isinstance(body, dict) or body.keys() - {"ids", "add", "remove"}:
        raise BadRequest('the body must be {"ids": [...], "add": [...], "remove": [...]}')
    outcomes = await request.app[CATALOG].tags.change(
        query.image_ids(body.get("ids"), MAX_IMAGES),
        query.tag_names(body.get("add", []), "add", MAX_TAGS),
        query.tag_names(body.get("remove", []), "remove", MAX_TAGS),
    )
    changed = sum(bool(outcome.added or outcome.removed) for outcome in outcomes)
    return json_response({"changed": changed, "images": [_told(outcome) for outcome in outcomes]})


async def _names(request: web.Request) -> tuple[str, ...]:
    return query.tag_names(await read_json(request), "the body", MAX_TAGS)


async def _change_one(request: web.Request, add: Sequence[str], remove: Sequence[str]) -> web.Response:
    text = request.match_info["id"]
    outcomes = await request.app[CATALOG].tags.change([ImageId(text)], add, remove) if is_id(text) else []
    if not outcomes:
        raise NotFound(f"there is no image {text}")
    return json_response(_told(outcomes[0]))


def _told(outcome: Tagged) -> dict[str, object]:
    return {"_id": outcome.id, "tags": outcome.tags, "added": outcome.added, "removed": outcome.removed}
