"""Request ids, request metrics and the request log."""

import logging
import time
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tagify.logs import fields, request_id
from tagify.metrics import Gauge, Histogram
from tagify.web.request_ids import REQUEST_ID, valid_or_new_id
from tagify.web.routes import route_pattern

logger = logging.getLogger(__name__)

_REQUEST_ID: Final = web.RequestKey("request_id", str)

UNTIMED: Final = web.RequestKey("untimed", bool)
"""Set by handlers of endless streams: their duration is not counted as response time."""

ABORTED = "aborted"
"""Status of a request whose client disconnected before the response."""


def instrument_requests(seconds: Histogram, in_flight: Gauge) -> Middleware:
    """A middleware that gives each request an id, and counts, times and logs it.

    Responses of status 500 and above are logged as warnings, all others at debug level: NGINX has
    an access log.
    """
    in_flight_guard = in_flight.raised()

    @web.middleware
    async def instrument(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[_REQUEST_ID] = id_ = valid_or_new_id(request.headers.get(REQUEST_ID, ""))
        request_id.set(id_)
        start, status, outcome = time.perf_counter(), 0, ABORTED
        try:
            with in_flight_guard:
                response = await handler(request)
            status, outcome = response.status, f"{response.status // 100}xx"
            return response
        finally:
            took, route = time.perf_counter() - start, route_pattern(request)
            if UNTIMED not in request:
                seconds.observe(took, route=route, status=outcome)
            _log_request(route, status, took)

    return instrument


async def add_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """Add the request id to a response; a handler for `on_response_prepare`, so streams get it too."""
    if (id_ := request.get(_REQUEST_ID)) is not None:
        response.headers[REQUEST_ID] = id_


def _log_request(route: str, status: int, took_s: float) -> None:
    failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if not failed and not logger.isEnabledFor(logging.DEBUG):
        return
    extra = fields(route=route, status=status or ABORTED, ms=round(took_s * 1000, 1))
    if failed:
        logger.warning("request", extra=extra)
    else:
        logger.debug("request", extra=extra)
