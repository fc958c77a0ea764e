"""Each request gets an id, and is counted, timed and logged."""

import logging
import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tagify.logs import fields
from tagify.metrics import Histogram, Metrics
from tagify.web.request_ids import accepted, request_id
from tagify.web.routes import route_of

logger = logging.getLogger(__name__)


def measured(metrics: Metrics) -> Middleware:
    """A middleware that gives each request an id, and counts, times and (at debug) logs it."""
    times: Histogram = metrics.histogram("http_request_seconds", "Time to answer, by route and status class.")
    in_flight = metrics.gauge("http_requests_in_flight", "Requests that are being answered.")

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = accepted(request.headers.get("X-Request-ID", ""))
        request_id.set(name)
        start = time.perf_counter()
        with in_flight.held():
            response = await handler(request)
        seconds = time.perf_counter() - start
        if not response.prepared:
            response.headers["X-Request-ID"] = name
        route = route_of(request)
        times.observe(seconds, route=route, status=f"{response.status // 100}xx")
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "request",
                extra=fields(request=name, route=route, status=response.status, ms=round(seconds * 1000, 1)),
            )
        return response

    return measure
