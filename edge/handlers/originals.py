"""Originals by content, and files by the id of their image: whole or in parts."""

from datetime import UTC
from http import HTTPStatus

from aiohttp import hdrs, web

from edge.conditions import not_modified, range_applies
from edge.handlers.naming import cache_control, listed_content, named_content, named_image
from edge.headers import IMMUTABLE, disposition, media_headers
from edge.keys import BYTES_OUT, CATALOG, ORIGIN
from edge.origin import Facts
from edge.ranges import Range, Unsatisfiable, parse
from tagify.errors import Unavailable
from tagify.model import Bucket, Content

routes = web.RouteTableDef()


@routes.get("/media/{content}/original")
async def original(request: web.Request) -> web.StreamResponse:
    content = named_content(request)
    facts = await request.app[ORIGIN].facts(Bucket.ORIGINALS, content)
    mime = await _catalog_mime(request, content) or facts.mime
    return await _original(request, content, facts, mime, IMMUTABLE)


@routes.get("/api/images/{id}/file")
async def file(request: web.Request) -> web.StreamResponse:
    image = await named_image(request)
    content = listed_content(image)
    facts = await request.app[ORIGIN].facts(Bucket.ORIGINALS, content)
    name = image.file.path.rpartition("/")[2]
    download = request.query.get("download") == "1"
    extra: dict[str, str] = {hdrs.CONTENT_DISPOSITION: disposition(name, download=download)}
    return await _original(request, content, facts, image.mime, cache_control(request, content), extra)


async def _catalog_mime(request: web.Request, content: Content) -> str | None:
    """The type by the catalog; while that is away, the one that the object was stored with serves."""
    try:
        return await request.app[CATALOG].images.mime_of(content)
    except Unavailable:
        return None


async def _original(
    request: web.Request,
    content: Content,
    facts: Facts,
    mime: str,
    caching: str,
    extra: dict[str, str] | None = None,
) -> web.StreamResponse:
    modified = facts.modified.astimezone(UTC)
    headers = media_headers(f'"{content}"', caching, modified) | (extra or {})
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
