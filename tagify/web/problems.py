"""Error responses: `application/problem+json` (RFC 9457)."""

import asyncio
import logging
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tagify.errors import NotFound, Problem, TooLarge
from tagify.logs import fields
from tagify.web.json import json_response
from tagify.web.routes import route_pattern

logger = logging.getLogger(__name__)


SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""A problem may repeat input of the client: browsers must neither sniff nor execute it."""


def problem_response(problem: Problem) -> web.Response:
    """The problem as `application/problem+json`, with `Retry-After` when the problem has a time."""
    headers = {**SECURITY_HEADERS, hdrs.CACHE_CONTROL: "no-store"}
    if problem.retry_after_s is not None:
        headers[hdrs.RETRY_AFTER] = str(problem.retry_after_s)
    return json_response(
        problem.body(), status=problem.status, headers=headers, content_type="application/problem+json"
    )


class _HttpProblem(Problem):
    """An HTTP error raised by aiohttp, as a problem."""

    def __init__(self, error: web.HTTPException) -> None:
        super().__init__()
        self.status = error.status
        self.title = error.reason
        self.slug = error.reason.lower().replace(" ", "-")


def _to_problem(error: Exception, request: web.Request) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPNotFound):
        return NotFound(f"there is no resource at {request.path}")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLarge("the request body is too large")
    if isinstance(error, web.HTTPException):
        return _HttpProblem(error)
    logger.exception("unexpected error", extra=fields(route=route_pattern(request)))
    return Problem()


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem response; redirects and started responses pass unchanged."""
    try:
        return await handler(request)
    except (ConnectionResetError, asyncio.CancelledError):
        raise
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        response = problem_response(_to_problem(error, request))
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return response
    except Exception as error:
        return problem_response(_to_problem(error, request))
