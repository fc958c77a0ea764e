"""The connections of a service: bounded in number, and none held by a client that is too slow.

aiohttp waits without end for a request's head and for room to write; a few thousand clients
that send or read a byte now and then would take all there is.
"""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tagify.metrics import Counter, Gauge
from tagify.web import DOOR, Door

HEAD_S = 10.0
"""Time for the head of the first request, in seconds."""

IDLE_S = 75.0
"""Time until the head of a further request is there, in seconds: longer than NGINX keeps a connection."""

STALL_S = 60.0
"""Longest time in which a client takes less than what waits for it in memory, in seconds."""

SWEEP_S = 0.5

RESERVED_FILES = 512
"""Open files that are left for whatever is no connection of a client."""


class Connection(web.RequestHandler):
    """One connection, which says when its client stops reading."""

    __slots__ = ("_gate",)

    def __init__(self, gate: "ConnectionLimiter", **kwargs: Any) -> None:
        super().__init__(gate, **kwargs)
        self._gate = gate

    def pause_writing(self) -> None:
        super().pause_writing()
        self._gate.stalls(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._gate.reads(self)


class ConnectionLimiter(web.Server):
    """Makes the connections of a service and ends those that only hold a place.

    Where all places are taken, the connection goes that has waited the longest for a request's
    head: whoever has something to ask says so at once.
    """

    def __init__(
        self, server: web.Server, places: int, *, door: Door | None, count: Gauge, ended: Counter
    ) -> None:
        self._options = server._kwargs  # what the application wants of its connections
        super().__init__(
            self._answered,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            **self._options,
        )
        self.door = door
        """What is asked first; None leaves all to the application."""
        self._answer: Callable[[Any], Awaitable[web.StreamResponse]] = server.request_handler
        self._places = places
        self._count = count
        self._ended = ended
        self._transports: dict[web.RequestHandler, asyncio.Transport] = {}
        self._waiting: dict[web.RequestHandler, float] = {}
        """When each that has no request under way is over, the longest wait first."""
        self._stalled: dict[web.RequestHandler, float] = {}
        count.set(0)

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._options)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._transports[handler] = transport
        self._waiting[handler] = self._loop.time() + HEAD_S
        if len(self._transports) > self._places:
            self._end(next(iter(self._waiting)), "crowded")
        self._count.set(len(self._transports))

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._transports.pop(handler, None)
        self._waiting.pop(handler, None)
        self._stalled.pop(handler, None)
        self._count.set(len(self._transports))

    def stalls(self, handler: web.RequestHandler) -> None:
        """The client has left more unread than there is room for."""
        self._stalled[handler] = self._loop.time() + STALL_S

    def reads(self, handler: web.RequestHandler) -> None:
        """There is room again."""
        self._stalled.pop(handler, None)

    async def sweep(self) -> None:
        """End connections whose time is over, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self._loop.time()
            for times, reason in ((self._waiting, "idle"), (self._stalled, "stalled")):
                for handler in [handler for handler, end in times.items() if end <= now]:
                    self._end(handler, reason)

    async def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        self._waiting.pop(request.protocol, None)
        try:
            answer = self.door(request) if self.door else None
            return await self._answer(request) if answer is None else answer
        finally:
            if request.protocol in self._transports:
                self._waiting[request.protocol] = self._loop.time() + IDLE_S

    def _end(self, handler: web.RequestHandler, reason: str) -> None:
        self._waiting.pop(handler, None)
        self._stalled.pop(handler, None)
        if handler in self._transports:
            self._ended.add(reason=reason)
            self._transports.pop(handler).abort()


class GatedRunner(web.AppRunner):
    """Runs an application behind a gate. `gate` is there after `setup`."""

    __slots__ = ("_count", "_ended", "_places", "gate")

    gate: ConnectionLimiter

    def __init__(
        self, app: web.Application, places: int, *, count: Gauge, ended: Counter, **kwargs: Any
    ) -> None:
        super().__init__(app, **kwargs)
        self._places = places
        self._count = count
        self._ended = ended

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        self.gate = ConnectionLimiter(
            server, self._places, door=self.app.get(DOOR), count=self._count, ended=self._ended
        )
        return self.gate


def places(wanted: int) -> int:
    """How many connections there may be: so many, as far as the limit of open files allows.

    That limit is raised to what this process may have.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, wanted + RESERVED_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return max(1, min(wanted, hard - RESERVED_FILES))
