"""Each request gets an id, and is counted, timed and logged."""

import logging
import time
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tagify.logs import fields
from tagify.metrics import Gauge, Histogram
from tagify.web.request_ids import REQUEST_ID, accepted, request_id
from tagify.web.routes import route_of

logger = logging.getLogger(__name__)

HEADER = "X-Request-ID"
REQUEST_ID: Final = web.RequestKey("request_id", str)

ABORTED = "aborted"
"""The status of a request whose client left before it was answered."""


def measured(seconds: Histogram, in_flight: Gauge) -> Middleware:
    """A middleware that gives each request an id, and counts, times and (at debug) logs it."""

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = accepted(request.headers.get(REQUEST_ID, ""))
        request_id.set(name)
        start = time.perf_counter()
        with in_flight.held():
            response = await handler(request)
        took = time.perf_counter() - start
        if not response.prepared:
            response.headers[REQUEST_ID] = name
        route = route_of(request)
        seconds.observe(took, route=route, status=f"{response.status // 100}xx")
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "request",
                extra=fields(request=name, route=route, status=response.status, ms=round(took * 1000, 1)),
            )
        return response

    return measure


async def name_request(request: web.Request, response: web.StreamResponse) -> None:
    """Answers carry the request's id, streams too: to be called when a response is prepared."""
    if (name := request.get(REQUEST_ID)) is not None:
        response.headers[HEADER] = name


def _log(route: str, status: int, seconds: float) -> None:
    level = logging.WARNING if status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.DEBUG
    if logger.isEnabledFor(level):
        logger.log(
            level, "request", extra=fields(route=route, status=status or ABORTED, ms=round(seconds * 1000, 1))
        )
