"""HTTP as all services speak it: JSON, problems, request ids, CORS, health and metrics pages."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, LooseHeaders, Middleware

from tagify.errors import BadRequest, NotFound, Problem
from tagify.logs import fields
from tagify.metrics import Histogram, Metrics

logger = logging.getLogger(__name__)

METRICS: Final = web.AppKey("metrics", Metrics)

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that this task answers; empty outside one."""

Check = Callable[[], Awaitable[None]]
"""Asks one dependency; returns when it is well and raises with a reason when it is not."""

CHECK_TIMEOUT_S = 1.0
_REQUEST_ID = re.compile(r"[\w.-]{8,64}")


def json_response(
    data: object,
    *,
    status: int = 200,
    headers: LooseHeaders | None = None,
    kind: str = "application/json",
) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=orjson.dumps(data), status=status, headers=headers, content_type=kind)


def problem_response(problem: Problem) -> web.Response:
    """The problem as `application/problem+json`, with Retry-After where it names a time."""
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    if problem.retry_after_s is not None:
        headers[hdrs.RETRY_AFTER] = str(problem.retry_after_s)
    return json_response(
        problem.body(), status=problem.status, headers=headers, kind="application/problem+json"
    )


async def read_json(request: web.Request) -> object:
    """The body as JSON. Raises BadRequest when it is none."""
    try:
        return orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is no JSON: {error}") from error


def query_int(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number of the query string. Raises BadRequest when it is none or out of its range."""
    text = request.query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or not low <= int(text) <= high:
        raise BadRequest(f"{name} must be a whole number from {low} to {high}")
    return int(text)


class _FromStatus(Problem):
    """An error of aiohttp itself, in our own form."""

    def __init__(self, error: web.HTTPException) -> None:
        super().__init__()
        self.status = error.status
        self.title = error.reason
        self.slug = error.reason.lower().replace(" ", "-")


def _problem_of(error: Exception, request: web.Request) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPNotFound):
        return NotFound(f"there is nothing at {request.path}")
    if isinstance(error, web.HTTPException):
        return _FromStatus(error)
    logger.exception("unexpected error", extra=fields(route=route_of(request), request=request_id.get()))
    return Problem()


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error leaves as a problem; redirects and an answer that has begun are left as they are."""
    try:
        return await handler(request)
    except (ConnectionResetError, asyncio.CancelledError):
        raise
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        answer = problem_response(_problem_of(error, request))
        if hdrs.ALLOW in error.headers:
            answer.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return answer
    except Exception as error:
        return problem_response(_problem_of(error, request))


def route_of(request: web.Request) -> str:
    """The route's pattern: a label with as many values as there are routes."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


def measured(metrics: Metrics) -> Middleware:
    """A middleware that gives each request an id, and counts, times and (at debug) logs it."""
    times: Histogram = metrics.histogram("http_request_seconds", "Time to answer, by route and status class.")
    in_flight = metrics.gauge("http_requests_in_flight", "Requests that are being answered.")

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("X-Request-ID", "")
        name = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request_id.set(name)
        start = time.perf_counter()
        with in_flight.held():
            response = await handler(request)
        seconds = time.perf_counter() - start
        if not response.prepared:
            response.headers["X-Request-ID"] = name
        route = route_of(request)
        times.observe(seconds, route=route, status=f"{response.status // 100}xx")
        logger.debug(
            "request",
            extra=fields(request=name, route=route, status=response.status, ms=round(seconds * 1000, 1)),
        )
        return response

    return measure


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
        "ETag, Content-Range, Deprecation, Retry-After, X-Request-ID"
    )
    response.headers.add(hdrs.VARY, hdrs.ORIGIN)


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except Exception as error:
        return str(error) or type(error).__name__
    return "ok"


def add_health(app: web.Application, metrics: Metrics, checks: Mapping[str, Check]) -> None:
    """`/livez` (the process answers), `/readyz` (its dependencies do) and `/metrics`."""

    async def livez(_: web.Request) -> web.Response:
        return json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        outcomes = await asyncio.gather(*(_outcome(check) for check in checks.values()))
        ready = all(outcome == "ok" for outcome in outcomes)
        return json_response(
            {"status": "ok" if ready else "unready", "checks": dict(zip(checks, outcomes, strict=True))},
            status=200 if ready else 503,
            headers={hdrs.CACHE_CONTROL: "no-store"},
        )

    async def show_metrics(_: web.Request) -> web.Response:
        body, headers = metrics.page()
        return web.Response(body=body, headers=headers)

    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", show_metrics)])


def new_app(
    metrics: Metrics,
    checks: Mapping[str, Check],
    *,
    cors_origins: Sequence[str] = (),
    max_body: int = 1 << 20,
) -> web.Application:
    """An application with what all services share: ids, metrics, problems, CORS, health pages."""
    middlewares: list[Middleware] = [measured(metrics), problems]
    if cors_origins:
        middlewares.insert(1, cors(cors_origins))
    app = web.Application(middlewares=middlewares, client_max_size=max_body)
    app[METRICS] = metrics
    add_health(app, metrics, checks)
    return app
