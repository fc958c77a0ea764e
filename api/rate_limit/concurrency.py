"""Concurrency limit for requests that are expensive for the database: a semaphore with a bounded queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from tagify import waits
from tagify.errors import Busy
from tagify.metrics import Counter
from tagify.web import route_pattern

QUEUE_PER_SLOT = 8
"""Requests that may wait for each slot."""

QUEUE_TIMEOUT_S = 5.0

CHEAP_POST_ROUTES = {
    "/api/tags/apply/{id}",
    "/api/tags/remove/{id}",
    "/api/libraries/{id}/rescan",
    "/api/libraries/{id}/approve",
}
"""Routes whose POST requests write only one or a few documents."""


class ConcurrencyLimiter:
    """At most `size` requests at a time. Raises Busy when the queue is full or the wait takes too long."""

    def __init__(self, size: int) -> None:
        self._semaphore = asyncio.Semaphore(size)
        self._max_waiting = size * QUEUE_PER_SLOT
        self._waiting = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one slot. Raises Busy."""
        if self._semaphore.locked() and self._waiting >= self._max_waiting:
            raise Busy("too many requests of this kind are waiting")
        self._waiting += 1
        try:
            with waits.Waiting("queue"):
                async with asyncio.timeout(QUEUE_TIMEOUT_S):
                    await self._semaphore.acquire()
        except TimeoutError:
            raise Busy(f"no capacity for requests of this kind within {QUEUE_TIMEOUT_S:g} s") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._semaphore.release()


def is_expensive(request: web.Request) -> bool:
    """Whether a request writes many documents, or reads documents that it does not return."""
    if request.method == hdrs.METH_POST:
        return route_pattern(request) not in CHEAP_POST_ROUTES
    return "offset" in request.query and route_pattern(request) == "/api/images"


def limit_concurrency(limiter: ConcurrencyLimiter, rejected: Counter) -> Middleware:
    """A middleware that applies the limiter to expensive requests."""

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_expensive(request):
            return await handler(request)
        try:
            async with limiter.slot():
                return await handler(request)
        except Busy:
            rejected.add(reason="busy")
            raise

    return limit
