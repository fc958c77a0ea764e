"""Pages of other origins."""

from collections.abc import Sequence

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

METHODS = "GET, HEAD, POST, PATCH, DELETE"
ACCEPTED = "Content-Type, Last-Event-ID, Range, If-None-Match, X-Request-ID"
EXPOSED = "ETag, Content-Range, Deprecation, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"

PREFLIGHT_S = 600
"""A browser need not ask again for so long, in seconds."""


class Cors:
    """Lets pages of these origins (`*`: of any) call this service."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)

    @web.middleware
    async def preflight(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A middleware that answers what browsers ask before they send what could change something."""
        asked = request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        if not asked or not self._allowed(request):
            return await handler(request)
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ACCEPTED,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_S),
        }
        return web.Response(status=204, headers=headers)

    async def allow(self, request: web.Request, response: web.StreamResponse) -> None:
        """Tell browsers that the page may read the answer, be it a stream: for when it is prepared."""
        # In one line: whoever passes the answer on may know of one line alone.
        named = response.headers.get(hdrs.VARY)
        response.headers[hdrs.VARY] = f"{named}, {hdrs.ORIGIN}" if named else hdrs.ORIGIN
        if self._allowed(request):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request.headers[hdrs.ORIGIN]
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED

    def _allowed(self, request: web.Request) -> bool:
        origin = request.headers.get(hdrs.ORIGIN, "")
        return bool(origin) and (origin in self._origins or "*" in self._origins)
