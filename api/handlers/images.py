"""Lists of images, one image, and the way to its bytes."""

from aiohttp import hdrs, web

from api.cursor import Cursor, decode
from api.keys import CATALOG, ITEMS, OFFSET_USES, SETTINGS, STORE_URLS
from api.query import image_filter
from tagify.catalog import ImageFilter, Page
from tagify.errors import BadRequest, NotFound
from tagify.model import Bucket, Image, ImageId, ImageState, is_id
from tagify.web import json_response, query_int

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
    if "offset" in request.query:
        return await _by_offset(request, which, limit)
    after, before = request.query.get("after"), request.query.get("before")
    if after and before:
        raise BadRequest("after and before exclude each other")
    page = await request.app[CATALOG].listing.page(
        which,
        after=decode(after, which).image if after else None,
        before=decode(before, which).image if before else None,
        limit=limit,
    )
    return json_response(_page(request, page, which), headers={hdrs.CACHE_CONTROL: "no-cache"})


def _page(request: web.Request, page: Page, which: ImageFilter) -> dict[str, object]:
    items, tiles = request.app[ITEMS], page.tiles
    return {
        "items": [items.tile(tile) for tile in tiles],
        "next_cursor": Cursor(tiles[-1].id).encode(which) if tiles and page.older else None,
        "prev_cursor": Cursor(tiles[0].id).encode(which) if tiles and page.newer else None,
        "media": items.media,
    }


async def _by_offset(request: web.Request, which: ImageFilter, limit: int) -> web.Response:
    request.app[OFFSET_USES].add()
    try:
        offset = query_int(request, "offset", 0, 0, MAX_OFFSET)
    except BadRequest as error:
        raise BadRequest(f"{error.detail}; to go deeper use next_cursor of the list") from error
    images = await request.app[CATALOG].listing.newest(which, offset=offset, limit=limit)
    items = request.app[ITEMS]
    return json_response([items.plain(image) for image in images], headers={"Deprecation": DEPRECATED_SINCE})


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
