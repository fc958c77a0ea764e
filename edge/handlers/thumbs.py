"""Thumbs by the id of their image."""

from aiohttp import hdrs, web

from edge.conditions import not_modified
from edge.handlers.naming import cache_control, listed_content, named_image
from edge.handlers.whole import whole
from edge.headers import media_headers
from edge.keys import BLOBS
from tagify.model import Bucket

routes = web.RouteTableDef()


@routes.get("/api/images/{id}/thumb")
async def thumb(request: web.Request) -> web.StreamResponse:
    content = listed_content(await named_image(request))
    headers = media_headers(f'"thumb-{content}"', cache_control(request, content))
    if not_modified(request.headers, headers[hdrs.ETAG], None):
        return web.Response(status=304, headers=headers)
    blob = await request.app[BLOBS].get(Bucket.THUMBS, content)
    return whole(request, blob.data, blob.mime, headers)
