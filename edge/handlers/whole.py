"""An answer whose bytes are all at hand."""

from aiohttp import hdrs, web

from edge.keys import BYTES_OUT


def whole(request: web.Request, body: bytes, mime: str, headers: dict[str, str]) -> web.Response:
    """The bytes as an answer of this media type."""
    if request.method == hdrs.METH_GET:
        request.app[BYTES_OUT].add(len(body))
    return web.Response(body=body, content_type=mime, headers=headers)
