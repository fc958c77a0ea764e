"""Pages of other origins."""

from collections.abc import Sequence

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware


def cors(origins: Sequence[str]) -> Middleware:
    """A middleware that lets pages of these origins (`*`: of any) call this service."""
    allowed = frozenset(origins)

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN, "")
        if not origin or not (origin in allowed or "*" in allowed):
            return await handler(request)
        if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            response: web.StreamResponse = web.Response(status=204)
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, HEAD, POST, PATCH, DELETE"
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = (
                "Content-Type, Last-Event-ID, Range, If-None-Match"
            )
            response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = "600"
        else:
            response = await handler(request)
        if not response.prepared:
            _allow_origin(response, origin)
        return response

    return answer


def _allow_origin(response: web.StreamResponse, origin: str) -> None:
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
    response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = (
        "ETag, Content-Range, Deprecation, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
    )
    response.headers.add(hdrs.VARY, hdrs.ORIGIN)
