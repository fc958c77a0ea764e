"""CORS: access for pages of other origins."""

from collections.abc import Sequence

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

ALLOWED_METHODS = "GET, HEAD, POST, PATCH, DELETE"
ALLOWED_HEADERS = "Content-Type, Last-Event-ID, Range, If-None-Match, X-Request-ID"
EXPOSED_HEADERS = (
    "ETag, Content-Range, Deprecation, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
)

PREFLIGHT_MAX_AGE_S = 600
"""How long a browser may cache a preflight response, in seconds."""


class Cors:
    """Allows pages of the given origins (`*`: any origin) to call this service."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)

    @web.middleware
    async def preflight(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A middleware that answers preflight requests of allowed origins."""
        is_preflight = (
            request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        )
        if not is_preflight or not self._is_allowed(request):
            return await handler(request)
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ALLOWED_METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ALLOWED_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_MAX_AGE_S),
        }
        return web.Response(status=204, headers=headers)

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the CORS headers; a handler for `on_response_prepare`, so that streams get them too."""
        # One Vary line: some intermediaries read only the first.
        vary = response.headers.get(hdrs.VARY)
        response.headers[hdrs.VARY] = f"{vary}, {hdrs.ORIGIN}" if vary else hdrs.ORIGIN
        if self._is_allowed(request):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request.headers[hdrs.ORIGIN]
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED_HEADERS

    def _is_allowed(self, request: web.Request) -> bool:
        origin = request.headers.get(hdrs.ORIGIN, "")
        return bool(origin) and (origin in self._origins or "*" in self._origins)
