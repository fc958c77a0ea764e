"""Errors as clients see them: `application/problem+json` (RFC 9457)."""

import asyncio
import logging
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tagify.errors import NotFound, Problem, TooLarge
from tagify.logs import fields
from tagify.web.json import json_response
from tagify.web.routes import route_of

logger = logging.getLogger(__name__)


SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""A problem may repeat what a client sent; no browser shall make anything of it."""


def problem_response(problem: Problem) -> web.Response:
    """The problem as `application/problem+json`, with Retry-After where it names a time."""
    headers = {**SAFE, hdrs.CACHE_CONTROL: "no-store"}
    if problem.retry_after_s is not None:
        headers[hdrs.RETRY_AFTER] = str(problem.retry_after_s)
    return json_response(
        problem.body(), status=problem.status, headers=headers, kind="application/problem+json"
    )


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
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLarge("the body is larger than may be")
    if isinstance(error, web.HTTPException):
        return _FromStatus(error)
    logger.exception("unexpected error", extra=fields(route=route_of(request)))
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
