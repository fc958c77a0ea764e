"""Size limits of URLs and request bodies."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tagify.errors import TooLarge, UrlTooLong

MAX_URL_LENGTH = 8_000
"""Maximum length of path and query, in characters."""

MAX_REQUEST_LINE_BYTES = 64 << 10
"""Maximum request line that is read, in bytes. Larger than MAX_URL_LENGTH, so that a URL that is too
long gets a problem response."""


def limit_request_size(max_body: int) -> Middleware:
    """A middleware that rejects URLs that are too long, and bodies by `Content-Length` before reading.

    `max_body` is in bytes.
    """

    @web.middleware
    async def check_size(request: web.Request, handler: Handler) -> web.StreamResponse:
        if len(request.raw_path) > MAX_URL_LENGTH:
            raise UrlTooLong(f"URL exceeds {MAX_URL_LENGTH} characters")
        if (request.content_length or 0) > max_body:
            raise TooLarge(f"request body exceeds {max_body} bytes")
        return await handler(request)

    return check_size
