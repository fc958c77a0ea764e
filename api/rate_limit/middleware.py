"""Requests of one client over time: refused with 429 when there are too many, and told so before."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from api.rate_limit.token_bucket import Buckets, Grant
from tagify.errors import TooManyRequests
from tagify.metrics import Counter
from tagify.web import Network, client_address, route_pattern

MEDIA = {"/api/images/{id}/thumb", "/api/images/{id}/file"}
"""Routes without a limit: a page shows hundreds of pictures at once."""

_LIMIT: Final = web.RequestKey("limit", tuple[Buckets, Grant])


def limited(buckets: Buckets, trusted: Sequence[Network], refused: Counter) -> Middleware:
    """A middleware that raises TooManyRequests for a client whose bucket is empty."""

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if route_pattern(request) in MEDIA:
            return await handler(request)
        client = client_address(request.remote, request.headers.getall("X-Forwarded-For", ()), trusted)
        if client is not None:
            grant = buckets.take(client)
            request[_LIMIT] = buckets, grant
            if not grant.allowed:
                refused.add(reason="rate")
                raise TooManyRequests(
                    f"at most {buckets.burst} requests in {buckets.window_s} s", retry_after_s=grant.retry_s
                )
        return await handler(request)

    return limit


async def tell_limits(request: web.Request, response: web.StreamResponse) -> None:
    """Put `RateLimit` and `RateLimit-Policy` (the IETF's draft, form of 2024) on an answer."""
    if (limit := request.get(_LIMIT)) is not None:
        buckets, grant = limit
        response.headers["RateLimit-Policy"] = f'"client";q={buckets.burst};w={buckets.window_s}'
        response.headers["RateLimit"] = f'"client";r={grant.remaining};t={grant.full_s}'
