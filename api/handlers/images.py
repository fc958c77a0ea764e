"""Lists of images, one image, and the way to its bytes."""

from aiohttp import hdrs, web

from api.app_keys import CATALOG, ITEMS, OFFSET_USES, SETTINGS, SHARED, STORE_URLS
from api.cursor import Cursors
from api.query_params import image_filter, sort_of
from api.serializers import Items, Json
from tagify.catalog import ImageFilter, ImagePage, Sort
from tagify.errors import BadRequest, NotFound
from tagify.model import Bucket, Image, ImageId, ImageState, is_id
from tagify.web import JsonBody, json_response, query_int

DEFAULT_LIMIT = 60
MAX_LIMIT = 200
MAX_OFFSET = 1000

DEPRECATED_SINCE = "@1767225600"
"""When the offset form was deprecated: RFC 9745, seconds since 1970 (2026-01-01)."""

routes = web.RouteTableDef()


@routes.get("/api/images")
async def list_images(request: web.Request) -> web.Response:
    which = image_filter(request)
    limit = query_int(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    sort = sort_of(request, which)
    if "offset" in request.query:
        return await _by_offset(request, which, sort, limit)
    cursors = Cursors(which, sort)
    after, before = request.query.get("after"), request.query.get("before")
    if after and before:
        raise BadRequest("after and before exclude each other")
    ends = {
        "after": cursors.decode(after) if after else None,
        "before": cursors.decode(before) if before else None,
    }

    async def page() -> JsonBody:
        found = await request.app[CATALOG].listing.page(which, sort, limit=limit, **ends)
        return JsonBody(_page(request.app[ITEMS], found, cursors))

    body = await request.app[SHARED].ask((cursors, after, before, limit), page)
    return body.to_response(request)


def _page(items: Items, page: ImagePage, cursors: Cursors) -> Json:
    return {
        "items": [items.tile(tile) for tile in page.tiles],
        "next_cursor": cursors.encode(page.next) if page.next else None,
        "prev_cursor": cursors.encode(page.previous) if page.previous else None,
        "media": items.media,
    }


async def _by_offset(request: web.Request, which: ImageFilter, sort: Sort, limit: int) -> web.Response:
    request.app[OFFSET_USES].add()
    if sort is not Sort.NEWEST:
        raise BadRequest("offset goes with sort=newest alone; for others use next_cursor of the list")
    try:
        offset = query_int(request, "offset", 0, 0, MAX_OFFSET)
    except BadRequest as error:
        raise BadRequest(f"{error.detail}; to go deeper use next_cursor of the list") from error
    images = await request.app[CATALOG].listing.newest(which, offset=offset, limit=limit)
    items = request.app[ITEMS]
    response = JsonBody([items.plain(image) for image in images]).to_response(request)
    response.headers["Deprecation"] = DEPRECATED_SINCE
    return response


@routes.get("/api/images/{id}")
async def get_image(request: web.Request) -> web.Response:
    image = await _image(request)
    return json_response(request.app[ITEMS].document(image), headers={hdrs.CACHE_CONTROL: "no-cache"})


@routes.get("/api/images/{id}/url")
async def get_url(request: web.Request) -> web.Response:
    kinds = {"thumb": Bucket.THUMBS, "original": Bucket.ORIGINALS}
    kind = request.query.get("kind", "thumb")
    if kind not in kinds:
        raise BadRequest("kind must be thumb or original")
    image = await _image(request)
    if image.content is None or image.state is not ImageState.READY:
        raise NotFound(f"image {image.id} has no media: it is {image.state}")
    url, expires = request.app[STORE_URLS].single(kinds[kind], image.content)
    return json_response(
        {"url": url, "expires_at": expires.isoformat()}, headers={hdrs.CACHE_CONTROL: "no-store"}
    )


@routes.get("/api/images/{id}/thumb")
@routes.get("/api/images/{id}/file")
async def to_edge(request: web.Request) -> web.Response:
    base = request.app[SETTINGS].media_base_url
    if not base:
        raise NotFound("media comes from the edge: set TAGIFY_MEDIA_BASE_URL to it, or put NGINX in front")
    return web.Response(status=307, headers={hdrs.LOCATION: f"{base}{request.rel_url.raw_path_qs}"})


async def _image(request: web.Request) -> Image:
    text = request.match_info["id"]
    image = await request.app[CATALOG].images.get(ImageId(text)) if is_id(text) else None
    if image is None:
        raise NotFound(f"there is no image {text}")
    return image
