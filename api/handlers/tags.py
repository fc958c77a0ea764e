"""Tags: counts, adding and removing tags of images, undo."""

from collections.abc import Sequence

from aiohttp import web

from api import query_params
from api.app_keys import CATALOG, COALESCER, SERIALIZER
from api.serializers import Json
from tagify.catalog import TagChangeResult, TaggedImage
from tagify.errors import BadRequest, NotFound
from tagify.model import ImageId, is_id
from tagify.web import JsonBody, json_response, query_int, read_json

MAX_TAGS = 100
"""Maximum number of tags in one change."""

MAX_IMAGES = 10_000
"""Maximum number of images in one change."""

MAX_TOKEN_LENGTH = 100
"""Maximum length of an undo token, in characters; the tokens we issue are shorter."""

routes = web.RouteTableDef()


@routes.get("/api/tags")
async def list_tags(request: web.Request) -> web.Response:
    library, prefix = query_params.parse_library_id(request), request.query.get("prefix", "")[:100]
    limit = query_int(request, "limit", 500, 1, 5000)

    async def load_counts() -> JsonBody:
        counts = await request.app[CATALOG].tags.most_used(library, prefix=prefix, limit=limit)
        return JsonBody([request.app[SERIALIZER].tag_count(tag) for tag in counts])

    body = await request.app[COALESCER].run(("tags", library, prefix, limit), load_counts)
    return body.to_response(request)


@routes.post("/api/tags/apply/{id}")
async def apply_tags(request: web.Request) -> web.Response:
    return await _change_image(request, add=await _read_tag_names(request, new=True), remove=())


@routes.post("/api/tags/remove/{id}")
async def remove_tags(request: web.Request) -> web.Response:
    return await _change_image(request, add=(), remove=await _read_tag_names(request))


@routes.post("/api/images/tags")
async def change_many(request: web.Request) -> web.Response:
    body = await read_json(request)
    if not isinstance(body, dict) or body.keys() - {"ids", "add", "remove"}:
        raise BadRequest('the body must be {"ids": [...], "add": [...], "remove": [...]}')
    changed = await request.app[CATALOG].tags.change(
        query_params.parse_image_ids(body.get("ids"), MAX_IMAGES),
        query_params.parse_tag_names(body.get("add", []), "add", MAX_TAGS, new=True),
        query_params.parse_tag_names(body.get("remove", []), "remove", MAX_TAGS),
    )
    return json_response(_serialize_change(changed))


@routes.post("/api/tags/undo")
async def undo_change(request: web.Request) -> web.Response:
    body = await read_json(request)
    token = body.get("undo") if isinstance(body, dict) else None
    if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH:
        raise BadRequest('the body must be {"undo": "..."}, with the `undo` token of a change')
    return json_response(_serialize_change(await request.app[CATALOG].tags.undo(token)))


async def _read_tag_names(request: web.Request, *, new: bool = False) -> tuple[str, ...]:
    return query_params.parse_tag_names(await read_json(request), "the body", MAX_TAGS, new=new)


async def _change_image(request: web.Request, add: Sequence[str], remove: Sequence[str]) -> web.Response:
    text = request.match_info["id"]
    changed = await request.app[CATALOG].tags.change([ImageId(text)] if is_id(text) else [], add, remove)
    if not changed.images:
        raise NotFound(f"there is no image {text}")
    return json_response(_serialize_image(changed.images[0]) | {"undo": changed.undo or None})


def _serialize_change(changed: TagChangeResult) -> Json:
    return {
        "changed": changed.changed_count,
        "added": changed.added,
        "removed": changed.removed,
        "undo": changed.undo or None,
        "images": [_serialize_image(image) for image in changed.images],
    }


def _serialize_image(image: TaggedImage) -> Json:
    return {"_id": image.id, "tags": image.tags, "added": image.added, "removed": image.removed}
