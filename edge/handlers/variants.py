"""Variants by content, width and format."""

from aiohttp import hdrs, web

from edge.conditions import not_modified
from edge.handlers.naming import named_content
from edge.handlers.whole import whole
from edge.headers import IMMUTABLE, media_headers
from edge.keys import SETTINGS, VARIANTS
from edge.variants import Wanted
from tagify.errors import NotFound
from tagify.model import VARIANT_MIMES

routes = web.RouteTableDef()


@routes.get(r"/media/{content}/{width:\d{1,5}}.{ending}")
async def variant(request: web.Request) -> web.StreamResponse:
    content, ending = named_content(request), request.match_info["ending"]
    width, widths = int(request.match_info["width"]), request.app[SETTINGS].media_widths
    if ending not in VARIANT_MIMES or width not in widths:
        ladder, endings = ", ".join(map(str, widths)), ", ".join(VARIANT_MIMES)
        raise NotFound(f"variants are made {ladder} wide, as {endings}")
    wanted = Wanted(content, width, ending)
    headers = media_headers(f'"{wanted.key}"', IMMUTABLE)
    if not_modified(request.headers, headers[hdrs.ETAG], None):
        return web.Response(status=304, headers=headers)
    body = await request.app[VARIANTS].get(wanted)
    return whole(request, body, wanted.mime, headers)
