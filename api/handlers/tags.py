"""Tags: their counts, and putting them on images and taking them off."""

from collections.abc import Sequence

from aiohttp import web

from api import query_params
from api.app_keys import CATALOG, ITEMS, SHARED
from api.serializers import Json
from tagify.catalog import TagChangeResult, TaggedImage
from tagify.errors import BadRequest, NotFound
from tagify.model import ImageId, is_id
from tagify.web import JsonBody, json_response, query_int, read_json

MAX_TAGS = 100
"""Tags in one change, at most."""

MAX_IMAGES = 10_000
"""Images in one change, at most."""

MAX_TOKEN = 100
"""Characters in the token of a change, at most; those we give have fewer."""

routes = web.RouteTableDef()


@routes.get("/api/tags")
async def list_tags(request: web.Request) -> web.Response:
    library, prefix = query_params.library(request), request.query.get("prefix", "")[:100]
    limit = query_int(request, "limit", 500, 1, 5000)

    async def counts() -> JsonBody:
        found = await request.app[CATALOG].tags.most_used(library, prefix=prefix, limit=limit)
        return JsonBody([request.app[ITEMS].tag(tag) for tag in found])

    body = await request.app[SHARED].ask(("tags", library, prefix, limit), counts)
    return body.to_response(request)


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
    changed = await request.app[CATALOG].tags.change(
        query_params.image_ids(body.get("ids"), MAX_IMAGES),
        query_params.tag_names(body.get("add", []), "add", MAX_TAGS),
        query_params.tag_names(body.get("remove", []), "remove", MAX_TAGS),
    )
    return json_response(_told(changed))


@routes.post("/api/tags/undo")
async def undo(request: web.Request) -> web.Response:
    body = await read_json(request)
    token = body.get("undo") if isinstance(body, dict) else None
    if not isinstance(token, str) or len(token) > MAX_TOKEN:
        raise BadRequest('the body must be {"undo": "..."}, the token that a change was answered with')
    return json_response(_told(await request.app[CATALOG].tags.undo(token)))


async def _names(request: web.Request) -> tuple[str, ...]:
    return query_params.tag_names(await read_json(request), "the body", MAX_TAGS)


async def _change_one(request: web.Request, add: Sequence[str], remove: Sequence[str]) -> web.Response:
    text = request.match_info["id"]
    changed = await request.app[CATALOG].tags.change([ImageId(text)] if is_id(text) else [], add, remove)
    if not changed.images:
        raise NotFound(f"there is no image {text}")
    return json_response(_image(changed.images[0]) | {"undo": changed.undo or None})


def _told(changed: TagChangeResult) -> Json:
    return {
        "changed": changed.changed_count,
        "added": changed.added,
        "removed": changed.removed,
        "undo": changed.undo or None,
        "images": [_image(image) for image in changed.images],
    }


def _image(image: TaggedImage) -> Json:
    return {"_id": image.id, "tags": image.tags, "added": image.added, "removed": image.removed}
