"""Route of variants: by content, width and format."""

from http import HTTPStatus

from aiohttp import hdrs, web

from edge.app_keys import BYTES_OUT, SETTINGS, VARIANT_SERVICE
from edge.handlers.error_image import error_image_response
from edge.handlers.path_params import content_param
from edge.http.conditional import not_modified
from edge.http.headers import IMMUTABLE, media_headers
from edge.variants.key import VariantKey
from tagify.errors import NotFound, Unprocessable
from tagify.model import VARIANT_MIMES
from tagify.web import client_address
from tagify.web.x_accel import SENDFILE_TYPE, X_ACCEL_REDIRECT

routes = web.RouteTableDef()


@routes.get(r"/media/{content}/{width:\d{1,5}}.{ending}")
async def variant(request: web.Request) -> web.StreamResponse:
    content, extension = content_param(request), request.match_info["ending"]
    width, widths = int(request.match_info["width"]), request.app[SETTINGS].media_widths
    if extension not in VARIANT_MIMES or width not in widths:
        allowed_widths, extensions = ", ".join(map(str, widths)), ", ".join(VARIANT_MIMES)
        raise NotFound(f"no such variant: widths are {allowed_widths}; formats are {extensions}")
    key = VariantKey(content, width, extension)
    if not_modified(request.headers, key.etag, None):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=media_headers(key.etag, IMMUTABLE))
    try:
        return await variant_response(request, key)
    except Unprocessable as problem:
        return error_image_response(request, problem)


async def variant_response(request: web.Request, key: VariantKey) -> web.Response:
    """The response with the variant; counts its bytes. Raises as VariantService.get."""
    cached = await request.app[VARIANT_SERVICE].get(
        key, client=_client(request), x_accel=_accepts_x_accel(request)
    )
    if request.method == hdrs.METH_GET:
        request.app[BYTES_OUT].add(cached.size)
    return cached.to_response()


def _client(request: web.Request) -> str:
    """The client for the fair queue; empty for requests of a proxy itself."""
    forwarded = request.headers.getall(hdrs.X_FORWARDED_FOR, ())
    return client_address(request.remote, forwarded, request.app[SETTINGS].trusted_proxies) or ""


def _accepts_x_accel(request: web.Request) -> bool:
    """Whether NGINX may send the file for this request.

    Not with If-Match and If-Unmodified-Since: NGINX would compare them with its own ETag and the
    file's date, and both are wrong.
    """
    headers = request.headers
    return (
        headers.get(SENDFILE_TYPE) == X_ACCEL_REDIRECT
        and hdrs.IF_MATCH not in headers
        and hdrs.IF_UNMODIFIED_SINCE not in headers
    )
