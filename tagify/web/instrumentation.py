"""Request ids, request metrics and the request log."""

import logging
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from tagify import waits
from tagify.logs import LogLimit, fields, request_id
from tagify.metrics import Gauge, Histogram, Metrics
from tagify.web.request_ids import REQUEST_ID, valid_or_new_id
from tagify.web.routes import route_pattern

logger = logging.getLogger(__name__)

_REQUEST_ID: Final = web.RequestKey("request_id", str)

UNTIMED: Final = web.RequestKey("untimed", bool)
"""Set by handlers of endless streams: their duration is not counted as response time."""

UNLOGGED: Final = web.RequestKey("unlogged", bool)
"""Set by handlers whose 5xx status is no failure of the request: it is logged at debug level."""

METHODS = frozenset(hdrs.METH_ALL)
"""Methods that are values of a label; a client may send any other."""

ABORTED = "aborted"
"""Status of a request whose client disconnected before the response."""


class RequestLog:
    """A line of each request: a rate-limited warning for status 500 and above, otherwise at debug level."""

    def __init__(self) -> None:
        self._limit = LogLimit()

    def record(self, request: web.Request, status: int, took_s: float, waited: Mapping[str, float]) -> None:
        """Log a request that has ended, and what it waited for, in seconds."""
        level, left_out = logging.DEBUG, 0
        if _failed(status) and UNLOGGED not in request:
            admitted = self._limit.admit()
            if admitted is None:
                return
            level, left_out = logging.WARNING, admitted
        if logger.isEnabledFor(level):
            extra = fields(
                route=route_pattern(request),
                status=status or ABORTED,
                ms=round(took_s * 1000, 1),
                waited_ms=_waited_ms(waited),
                **({"left_out": left_out} if left_out else {}),
            )
            logger.log(level, "request", extra=extra)


class SlowRequests:
    """Logs and counts requests that take longer than `slow_s` seconds, without their waits for the client."""

    def __init__(self, metrics: Metrics, slow_s: float) -> None:
        self._slow_s = slow_s
        self._limit = LogLimit()
        self._counter = metrics.counter(
            "tagify_http_slow_requests_total", "Requests slower than TAGIFY_SLOW_REQUEST_S."
        )

    def record(self, request: web.Request, status: int, took_s: float, waited: Mapping[str, float]) -> None:
        """Record a request that has ended, and what it waited for, in seconds."""
        if took_s - waited.get("client", 0.0) < self._slow_s:
            return
        self._counter.add()
        # A request with a 5xx status has a line already.
        if not _failed(status) and (left_out := self._limit.admit()) is not None:
            extra = fields(
                method=request.method,
                route=route_pattern(request),
                status=status or ABORTED,
                ms=round(took_s * 1000),
                waited_ms=_waited_ms(waited),
                left_out=left_out,
            )
            logger.warning("slow request", extra=extra)


def instrument_requests(seconds: Histogram, in_flight: Gauge, slow: SlowRequests) -> Middleware:
    """A middleware that gives each request an id, and counts, times and logs it.

    Responses of status 500 and above are logged as warnings, all others at debug level: NGINX has
    an access log.
    """
    in_flight_guard = in_flight.raised()
    request_log = RequestLog()

    @web.middleware
    async def instrument(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[_REQUEST_ID] = id_ = valid_or_new_id(request.headers.get(REQUEST_ID, ""))
        request_id.set(id_)
        start, status, outcome = time.perf_counter(), 0, ABORTED
        waited = waits.collect()
        try:
            with in_flight_guard:
                response = await handler(request)
            status, outcome = response.status, f"{response.status // 100}xx"
            return response
        finally:
            took, route = time.perf_counter() - start, route_pattern(request)
            if UNTIMED not in request:
                method = request.method if request.method in METHODS else "other"
                seconds.observe(took, method=method, route=route, status=outcome)
                slow.record(request, status, took, waited)
            request_log.record(request, status, took, waited)

    return instrument


async def add_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """Add the request id to a response; a handler for `on_response_prepare`, so streams get it too."""
    if (id_ := request.get(_REQUEST_ID)) is not None:
        response.headers[REQUEST_ID] = id_


def _failed(status: int) -> bool:
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _waited_ms(waited: Mapping[str, float]) -> dict[str, int]:
    return {cause: round(seconds * 1000) for cause, seconds in waited.items()}
