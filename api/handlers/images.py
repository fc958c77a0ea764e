"""Image lists, single images, and redirects and pre-signed URLs to their media."""

from aiohttp import hdrs, web

from api.app_keys import CATALOG, COALESCER, OFFSET_COUNTER, PRESIGNED_URLS, SERIALIZER
from api.cursor import CursorCodec
from api.query_params import parse_image_filter, parse_sort
from api.serializers import Json, Serializer
from tagify.catalog import ImageFilter, ImagePage, Sort
from tagify.errors import BadRequest, NotFound
from tagify.model import Bucket, Image, ImageId, ImageState, is_id
from tagify.web import JsonBody, json_response, query_int

DEFAULT_LIMIT = 60
MAX_LIMIT = 200
MAX_OFFSET = 1000

DEPRECATED_SINCE = "@1767225600"
"""`Deprecation` header of the offset form (RFC 9745): seconds since 1970, here 2026-01-01."""

routes = web.RouteTableDef()


@routes.get("/api/images")
async def list_images(request: web.Request) -> web.Response:
    image_filter = parse_image_filter(request)
    limit = query_int(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    sort = parse_sort(request, image_filter)
    if "offset" in request.query:
        return await _list_by_offset(request, image_filter, sort, limit)
    codec = CursorCodec(image_filter, sort)
    after, before = request.query.get("after"), request.query.get("before")
    if after and before:
        raise BadRequest("`after` and `before` exclude each other: remove one of them")
    positions = {
        "after": codec.decode(after) if after else None,
        "before": codec.decode(before) if before else None,
    }

    async def load_page() -> JsonBody:
        page = await request.app[CATALOG].listing.page(image_filter, sort, limit=limit, **positions)
        return JsonBody(_serialize_page(request.app[SERIALIZER], page, codec))

    body = await request.app[COALESCER].run((codec, after, before, limit), load_page)
    return body.to_response(request)


def _serialize_page(serializer: Serializer, page: ImagePage, codec: CursorCodec) -> Json:
    return {
        "items": [serializer.tile(tile) for tile in page.tiles],
        "next_cursor": codec.encode(page.next) if page.next else None,
        "prev_cursor": codec.encode(page.previous) if page.previous else None,
        "media": serializer.media,
    }


async def _list_by_offset(
    request: web.Request, image_filter: ImageFilter, sort: Sort, limit: int
) -> web.Response:
    request.app[OFFSET_COUNTER].add()
    if sort is not Sort.NEWEST:
        raise BadRequest("`offset` supports only sort=newest; for other orders use `next_cursor` of the list")
    try:
        offset = query_int(request, "offset", 0, 0, MAX_OFFSET)
    except BadRequest as error:
        raise BadRequest(f"{error.detail}; for more images use `next_cursor` of the list") from error
    images = await request.app[CATALOG].listing.newest(image_filter, offset=offset, limit=limit)
    serializer = request.app[SERIALIZER]
    response = JsonBody([serializer.legacy_image(image) for image in images]).to_response(request)
    response.headers["Deprecation"] = DEPRECATED_SINCE
    return response


@routes.get("/api/images/{id}")
async def get_image(request: web.Request) -> web.Response:
    image = await _load_image(request)
    return json_response(
        request.app[SERIALIZER].image_details(image), headers={hdrs.CACHE_CONTROL: "no-cache"}
    )


@routes.get("/api/images/{id}/url")
async def get_url(request: web.Request) -> web.Response:
    kinds = {"thumb": Bucket.THUMBS, "original": Bucket.ORIGINALS}
    kind = request.query.get("kind", "thumb")
    if kind not in kinds:
        raise BadRequest("`kind` must be `thumb` or `original`")
    image = await _load_image(request)
    if image.content is None or image.state is not ImageState.READY:
        raise NotFound(f"image {image.id} has no media: it is {image.state}")
    url, expires = request.app[PRESIGNED_URLS].single_url(kinds[kind], image.content)
    return json_response(
        {"url": url, "expires_at": expires.isoformat()}, headers={hdrs.CACHE_CONTROL: "no-store"}
    )


async def _load_image(request: web.Request) -> Image:
    text = request.match_info["id"]
    image = await request.app[CATALOG].images.get(ImageId(text)) if is_id(text) else None
    if image is None:
        raise NotFound(f"there is no image {text}")
    return image
