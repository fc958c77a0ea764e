"""Rate limit middleware: status 429 above the limit, and the `RateLimit` headers (IETF draft)."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from api.rate_limit.token_bucket import RateLimitResult, TokenBuckets
from tagify.errors import TooManyRequests
from tagify.metrics import Counter
from tagify.web import Network, client_address, route_pattern

UNLIMITED_ROUTES = {"/api/images/{id}/thumb", "/api/images/{id}/file", "/media/{content}/{name}"}
"""Routes without a rate limit: a page loads hundreds of images at once."""

_RATE_LIMIT: Final = web.RequestKey("limit", tuple[TokenBuckets, RateLimitResult])


def limit_rate(buckets: TokenBuckets, trusted_proxies: Sequence[Network], rejected: Counter) -> Middleware:
    """A middleware that raises TooManyRequests when the client's bucket is empty."""

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if route_pattern(request) in UNLIMITED_ROUTES:
            return await handler(request)
        client = client_address(
            request.remote, request.headers.getall("X-Forwarded-For", ()), trusted_proxies
        )
        if client is not None:
            result = buckets.acquire(client)
            request[_RATE_LIMIT] = buckets, result
            if not result.allowed:
                rejected.add(reason="rate")
                raise TooManyRequests(
                    f"at most {buckets.burst} requests in {buckets.window_s} s",
                    retry_after_s=result.retry_after_s,
                )
        return await handler(request)

    return limit


async def add_rate_limit_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add `RateLimit` and `RateLimit-Policy` (IETF draft of 2024); a handler for `on_response_prepare`."""
    if (limit := request.get(_RATE_LIMIT)) is not None:
        buckets, result = limit
        response.headers["RateLimit-Policy"] = f'"client";q={buckets.burst};w={buckets.window_s}'
        response.headers["RateLimit"] = f'"client";r={result.remaining};t={result.reset_s}'
