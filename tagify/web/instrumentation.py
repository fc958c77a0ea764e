"""Each request gets an id, and is counted, timed and logged."""

import logging
import time
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tagify.logs import fields, request_id
from tagify.metrics import Gauge, Histogram
from tagify.web.request_ids import REQUEST_ID, accepted
from tagify.web.routes import route_of

logger = logging.getLogger(__name__)

_NAME: Final = web.RequestKey("request_id", str)

UNTIMED: Final = web.RequestKey("untimed", bool)
"""Set by a handler whose answer lasts for as long as its client likes: that is no time to answer."""

ABORTED = "aborted"
"""The status of a request whose client left before it was answered."""


def measured(seconds: Histogram, in_flight: Gauge) -> Middleware:
    """A middleware that gives each request an id, and counts, times and logs it.

    What went wrong here is logged as a warning, anything else at debug: NGINX has a line for each.
    """
    under_way = in_flight.held()

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[_NAME] = name = accepted(request.headers.get(REQUEST_ID, ""))
        request_id.set(name)
        start, status, outcome = time.perf_counter(), 0, ABORTED
        try:
            with under_way:
                response = await handler(request)
            status, outcome = response.status, f"{response.status // 100}xx"
            return response
        finally:
            took, route = time.perf_counter() - start, route_of(request)
            if UNTIMED not in request:
                seconds.observe(took, route=route, status=outcome)
            _log(route, status, took)

    return measure


async def name_request(request: web.Request, response: web.StreamResponse) -> None:
    """Answers carry the request's id, streams too: to be called when a response is prepared."""
    if (name := request.get(_NAME)) is not None:
        response.headers[REQUEST_ID] = name


def _log(route: str, status: int, took_s: float) -> None:
    failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if not failed and not logger.isEnabledFor(logging.DEBUG):
        return
    extra = fields(route=route, status=status or ABORTED, ms=round(took_s * 1000, 1))
    if failed:
        logger.warning("request", extra=extra)
    else:
        logger.debug("request", extra=extra)
