"""Thumbs by the id of their image, in the best format that the client names."""

from http import HTTPStatus

from aiohttp import hdrs, web

from edge.app_keys import SETTINGS
from edge.handlers.error_image import broken
from edge.handlers.path_params import cache_control, listed_content, named_image
from edge.handlers.variants import found
from edge.http.conditional import not_modified
from edge.http.content_negotiation import chosen
from edge.http.headers import media_headers
from edge.variants.key import THUMB, VariantKey
from tagify.errors import Unprocessable

routes = web.RouteTableDef()


@routes.get("/api/images/{id}/thumb")
async def thumb(request: web.Request) -> web.StreamResponse:
    content = listed_content(await named_image(request))
    ending = chosen(request.headers.get(hdrs.ACCEPT, ""), request.app[SETTINGS].edge_thumb_formats)
    wanted = VariantKey(content, THUMB, ending)
    headers = media_headers(wanted.etag, cache_control(request, content)) | {hdrs.VARY: hdrs.ACCEPT}
    if not_modified(request.headers, wanted.etag, None):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    try:
        response = await found(request, wanted)
    except Unprocessable as problem:
        return broken(request, problem)
    response.headers.update(headers)
    return response
