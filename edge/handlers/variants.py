"""Variants by content, width and format."""

from http import HTTPStatus

from aiohttp import hdrs, web

from edge.app_keys import BYTES_OUT, SETTINGS, VARIANTS
from edge.handlers.error_image import broken
from edge.handlers.path_params import named_content
from edge.http.conditional import not_modified
from edge.http.headers import IMMUTABLE, media_headers
from edge.variants.key import VariantKey
from tagify.errors import NotFound, Unprocessable
from tagify.model import VARIANT_MIMES
from tagify.web.x_accel import SENDFILE_TYPE, X_ACCEL_REDIRECT

routes = web.RouteTableDef()


@routes.get(r"/media/{content}/{width:\d{1,5}}.{ending}")
async def variant(request: web.Request) -> web.StreamResponse:
    content, ending = named_content(request), request.match_info["ending"]
    width, widths = int(request.match_info["width"]), request.app[SETTINGS].media_widths
    if ending not in VARIANT_MIMES or width not in widths:
        ladder, endings = ", ".join(map(str, widths)), ", ".join(VARIANT_MIMES)
        raise NotFound(f"variants are made {ladder} wide, as {endings}")
    wanted = VariantKey(content, width, ending)
    if not_modified(request.headers, wanted.etag, None):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=media_headers(wanted.etag, IMMUTABLE))
    try:
        return await found(request, wanted)
    except Unprocessable as problem:
        return broken(request, problem)


async def found(request: web.Request, wanted: VariantKey) -> web.Response:
    """The answer with the variant, counted. Raises what Variants.get does."""
    answer = await request.app[VARIANTS].get(wanted, may_hand_over=_may_hand_over(request))
    if request.method == hdrs.METH_GET:
        request.app[BYTES_OUT].add(answer.size)
    return answer.response()


def _may_hand_over(request: web.Request) -> bool:
    """Whether NGINX asks, and would send the file whatever else the client says.

    It knows no ETag of a file and its time is of no account: these two it would decide wrongly.
    """
    headers = request.headers
    return (
        headers.get(SENDFILE_TYPE) == X_ACCEL_REDIRECT
        and hdrs.IF_MATCH not in headers
        and hdrs.IF_UNMODIFIED_SINCE not in headers
    )
