"""Requests that cost the database much: a few at a time, a few that wait, no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from tagify.errors import Busy
from tagify.metrics import Counter
from tagify.web import route_pattern

WAITING_FOR_EACH = 8
"""Requests that may wait for each one that runs."""

LONGEST_WAIT_S = 5.0

CHEAP_CHANGES = {
    "/api/tags/apply/{id}",
    "/api/tags/remove/{id}",
    "/api/libraries/{id}/rescan",
    "/api/libraries/{id}/approve",
}
"""Routes that are posted to and touch one document, or a few."""


class ConcurrencyLimiter:
    """At most `size` at a time. Who waits too long, or finds too many waiting, is told Busy."""

    def __init__(self, size: int) -> None:
        self._places = asyncio.Semaphore(size)
        self._most_waiting = size * WAITING_FOR_EACH
        self._waiting = 0

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """A visit. Raises Busy."""
        if self._places.locked() and self._waiting >= self._most_waiting:
            raise Busy("too many requests of this kind wait already")
        self._waiting += 1
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise Busy(f"other requests of this kind took longer than {LONGEST_WAIT_S:g} s") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()


def is_costly(request: web.Request) -> bool:
    """Whether a request changes many documents, or walks over those that it does not return."""
    if request.method == hdrs.METH_POST:
        return route_pattern(request) not in CHEAP_CHANGES
    return "offset" in request.query and route_pattern(request) == "/api/images"


def costly(gate: ConcurrencyLimiter, refused: Counter) -> Middleware:
    """A middleware that lets costly requests through the gate, and all others by it."""

    @web.middleware
    async def pass_gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_costly(request):
            return await handler(request)
        try:
            async with gate.passed():
                return await handler(request)
        except Busy:
            refused.add(reason="busy")
            raise

    return pass_gate
