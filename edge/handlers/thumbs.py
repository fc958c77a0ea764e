"""Route of thumbs: by the id of an image, in a format negotiated by the Accept header."""

from http import HTTPStatus

from aiohttp import hdrs, web

from edge.app_keys import SETTINGS
from edge.handlers.error_image import error_image_response
from edge.handlers.path_params import cache_control, ready_content, requested_image
from edge.handlers.variants import variant_response
from edge.http.conditional import not_modified
from edge.http.content_negotiation import choose_format
from edge.http.headers import media_headers
from edge.variants.key import THUMB, VariantKey
from tagify.errors import Unprocessable
from tagify.web.field_lines import joined_lines

routes = web.RouteTableDef()


@routes.get("/api/images/{id}/thumb")
async def thumb(request: web.Request) -> web.StreamResponse:
    content = ready_content(await requested_image(request))
    accept = joined_lines(request.headers, hdrs.ACCEPT)
    extension = choose_format(accept, request.app[SETTINGS].edge_thumb_formats)
    key = VariantKey(content, THUMB, extension)
    headers = media_headers(key.etag, cache_control(request, content)) | {hdrs.VARY: hdrs.ACCEPT}
    if not_modified(request.headers, key.etag, None):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    try:
        response = await variant_response(request, key)
    except Unprocessable as problem:
        return error_image_response(request, problem)
    response.headers.update(headers)
    return response
