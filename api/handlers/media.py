"""Media routes without NGINX: redirects to the edge, which serves them."""

from urllib.parse import urlsplit

from aiohttp import hdrs, web

from api.app_keys import SETTINGS
from tagify.errors import NotFound

routes = web.RouteTableDef()


@routes.get("/api/images/{id}/thumb")
@routes.get("/api/images/{id}/file")
@routes.get("/media/{content}/{name}")
async def redirect_to_edge(request: web.Request) -> web.Response:
    location = f"{_edge_url(request)}{request.rel_url.raw_path_qs}"
    return web.Response(status=307, headers={hdrs.LOCATION: location})


def _edge_url(request: web.Request) -> str:
    """The URL of the edge for this client. Raises NotFound.

    With a port alone it is on the host that the client used, which is known to be a name or an address of
    this site. A client without a Host header is of HTTP/1.0, and has no URL of ours either.
    """
    settings = request.app[SETTINGS]
    host = urlsplit(f"//{request.headers.get(hdrs.HOST, '')}").hostname
    if settings.media_base_url:
        return settings.media_base_url
    if settings.media_port and host:
        return f"http://{f'[{host}]' if ':' in host else host}:{settings.media_port}"
    raise NotFound(
        "the edge serves media: set TAGIFY_MEDIA_BASE_URL or TAGIFY_MEDIA_PORT, or put NGINX in front"
    )
