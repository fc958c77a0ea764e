"""How much a request may carry."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tagify.errors import TooLarge, UrlTooLong

LONGEST_URL = 8_000
"""Characters of path and query, at most."""

LONGEST_LINE = 64 << 10
"""Bytes of a request line that are read at all, so that what is too long can be told what it is."""


def sized(max_body: int) -> Middleware:
    """A middleware that refuses a URL that is too long, and a body that says it is, before it is read."""

    @web.middleware
    async def weigh(request: web.Request, handler: Handler) -> web.StreamResponse:
        if len(request.raw_path) > LONGEST_URL:
            raise UrlTooLong(f"a URL may have {LONGEST_URL} characters")
        if (request.content_length or 0) > max_body:
            raise TooLarge(f"a body may have {max_body} bytes")
        return await handler(request)

    return weigh
