"""HTTP in, HTTP out: variants and originals by content, thumbs and files by id."""

from datetime import UTC
from http import HTTPStatus

from aiohttp import hdrs, web

from edge.conditions import not_modified, range_applies
from edge.headers import IMMUTABLE, REVALIDATE, disposition, media_headers
from edge.keys import BLOBS, BYTES_OUT, CATALOG, ORIGIN, SETTINGS, VARIANTS
from edge.origin import Facts
from edge.ranges import Range, Unsatisfiable, parse
from edge.variants import Wanted
from tagify.errors import NotFound, Unavailable
from tagify.imaging import VARIANT_MIMES
from tagify.model import Bucket, Content, Image, ImageId, ImageState, is_content, is_id

routes = web.RouteTableDef()


@routes.get(r"/media/{content}/{width:\d{1,5}}.{ending}")
async def variant(request: web.Request) -> web.StreamResponse:
    content, ending, width = _content(request), request.match_info["ending"], int(request.match_info["width"])
    widths = request.app[SETTINGS].media_widths
    if ending not in VARIANT_MIMES or width not in widths:
        ladder, endings = ", ".join(map(str, widths)), ", ".join(VARIANT_MIMES)
        raise NotFound(f"variants are made {ladder} wide, as {endings}")
    wanted = Wanted(content, width, ending)
    headers = media_headers(f'"{wanted.key}"', IMMUTABLE)
    if not_modified(request.headers, headers[hdrs.ETAG], None):
        return web.Response(status=304, headers=headers)
    body = await request.app[VARIANTS].get(wanted)
    return _whole(request, body, wanted.mime, headers)


@routes.get("/media/{content}/original")
async def original(request: web.Request) -> web.StreamResponse:
    content = _content(request)
    facts = await request.app[ORIGIN].facts(Bucket.ORIGINALS, content)
    mime = await _catalog_mime(request, content) or facts.mime
    return await _original(request, content, facts, mime, IMMUTABLE)


@routes.get("/api/images/{id}/thumb")
async def thumb(request: web.Request) -> web.StreamResponse:
    image = await _image(request)
    content = _listed(image)
    headers = media_headers(f'"thumb-{content}"', _cache_control(request, content))
    if not_modified(request.headers, headers[hdrs.ETAG], None):
        return web.Response(status=304, headers=headers)
    blob = await request.app[BLOBS].get(Bucket.THUMBS, content)
    return _whole(request, blob.data, blob.mime, headers)


@routes.get("/api/images/{id}/file")
async def file(request: web.Request) -> web.StreamResponse:
    image = await _image(request)
    content = _listed(image)
    facts = await request.app[ORIGIN].facts(Bucket.ORIGINALS, content)
    name = image.file.path.rpartition("/")[2]
    download = request.query.get("download") == "1"
    extra: dict[str, str] = {hdrs.CONTENT_DISPOSITION: disposition(name, download=download)}
    return await _original(request, content, facts, image.mime, _cache_control(request, content), extra)


def _content(request: web.Request) -> Content:
    text = request.match_info["content"]
    if not is_content(text):
        raise NotFound("content is named by its SHA-256, 64 hex digits")
    return Content(text)


async def _image(request: web.Request) -> Image:
    text = request.match_info["id"]
    image = await request.app[CATALOG].images.get(ImageId(text)) if is_id(text) else None
    if image is None:
        raise NotFound(f"there is no image {text}")
    return image


def _listed(image: Image) -> Content:
    if image.content is None or image.state is not ImageState.READY:
        raise NotFound(f"image {image.id} has no media: it is {image.state}")
    return image.content


def _cache_control(request: web.Request, content: Content) -> str:
    return IMMUTABLE if request.query.get("v") == content else REVALIDATE


async def _catalog_mime(request: web.Request, content: Content) -> str | None:
    """The type by the catalog; while that is away, the one that the object was stored with serves."""
    try:
        return await request.app[CATALOG].images.mime_of(content)
    except Unavailable:
        return None


def _whole(request: web.Request, body: bytes, mime: str, headers: dict[str, str]) -> web.Response:
    if request.method == hdrs.METH_GET:
        request.app[BYTES_OUT].add(len(body))
    return web.Response(body=body, content_type=mime, headers=headers)


async def _original(
    request: web.Request,
    content: Content,
    facts: Facts,
    mime: str,
    cache_control: str,
    extra: dict[str, str] | None = None,
) -> web.StreamResponse:
    modified = facts.modified.astimezone(UTC)
    headers = media_headers(f'"{content}"', cache_control, modified) | (extra or {})
    headers[hdrs.ACCEPT_RANGES] = "bytes"
    if not_modified(request.headers, headers[hdrs.ETAG], modified):
        return web.Response(status=304, headers=headers)
    part = None
    if request.method == hdrs.METH_GET and range_applies(request.headers, headers[hdrs.ETAG], modified):
        try:
            part = parse(request.headers.get(hdrs.RANGE), facts.length)
        except Unsatisfiable:
            headers[hdrs.CONTENT_RANGE] = f"bytes */{facts.length}"
            return web.Response(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    return await _streamed(request, content, facts.length, mime, part, headers)


async def _streamed(
    request: web.Request,
    content: Content,
    length: int,
    mime: str,
    part: Range | None,
    headers: dict[str, str],
) -> web.StreamResponse:
    status = HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK
    response = web.StreamResponse(status=status, headers=headers)
    response.content_type = mime
    response.content_length = part.length if part else length
    if part:
        response.headers[hdrs.CONTENT_RANGE] = f"bytes {part.first}-{part.last}/{length}"
    if request.method == hdrs.METH_HEAD or not length:
        await response.prepare(request)
        return response
    async with request.app[ORIGIN].opened(Bucket.ORIGINALS, content, part) as chunks:
        await response.prepare(request)
        try:
            async for chunk in chunks:
                await response.write(chunk)
                request.app[BYTES_OUT].add(len(chunk))
        except Unavailable:
            # The head is out and promises more bytes than will come: only a broken connection tells.
            if request.transport is not None:
                request.transport.abort()
            raise
    await response.write_eof()
    return response
