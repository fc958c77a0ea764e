"""Concurrency limit for requests that are expensive for the database: a semaphore with a bounded queue."""

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from tagify.concurrency.limiter import TimedSemaphore
from tagify.errors import Busy
from tagify.metrics import Counter, Metrics
from tagify.web import route_pattern

QUEUE_PER_SLOT = 8
"""Requests that may wait for each slot."""

QUEUE_TIMEOUT_S = 5.0
"""How long a request waits for a slot, in seconds."""

CHEAP_POST_ROUTES = {
    "/api/tags/apply/{id}",
    "/api/tags/remove/{id}",
    "/api/libraries/{id}/rescan",
    "/api/libraries/{id}/approve",
}
"""Routes whose POST requests write only one or a few documents."""


def expensive_request_limiter(capacity: int, metrics: Metrics) -> TimedSemaphore:
    """At most `capacity` expensive requests at a time, and QUEUE_PER_SLOT waiting for each of them."""
    return TimedSemaphore(
        capacity,
        wait_s=QUEUE_TIMEOUT_S,
        in_use=metrics.gauge(
            "tagify_api_costly_requests", "Expensive requests in progress.", old="api_costly_requests"
        ),
        what="requests of this kind",
        max_waiting=capacity * QUEUE_PER_SLOT,
    )


def is_expensive(request: web.Request) -> bool:
    """Whether a request writes many documents, or reads documents that it does not return."""
    if request.method == hdrs.METH_POST:
        return route_pattern(request) not in CHEAP_POST_ROUTES
    return "offset" in request.query and route_pattern(request) == "/api/images"


def limit_concurrency(limiter: TimedSemaphore, rejected: Counter) -> Middleware:
    """A middleware that applies the limiter to expensive requests."""

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_expensive(request):
            return await handler(request)
        try:
            await limiter.acquire()
        except Busy:
            rejected.add(reason="busy")
            raise
        try:
            return await handler(request)
        finally:
            limiter.release()

    return limit
