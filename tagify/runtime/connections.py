"""Connection limits: a maximum number of connections, and timeouts for slow and idle clients.

aiohttp has no timeout for reading a request's head or for writing a response: a few thousand slow
clients (slowloris) would use up all connections.
"""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tagify.metrics import Counter, Gauge
from tagify.web import FAST_PATH, FastPathHandler
from tagify.web._compat_aiohttp import ServerWrapper, WrappingRunner

HEAD_TIMEOUT_S = 10.0
"""Timeout for the head of the first request, in seconds."""

IDLE_TIMEOUT_S = 75.0
"""Keep-alive timeout: time until the head of the next request has arrived, in seconds. Longer than NGINX's
keep-alive timeout, so that NGINX closes first."""

STALL_TIMEOUT_S = 60.0
"""Maximum time for which the write buffer of a connection may stay full, in seconds."""

SWEEP_INTERVAL_S = 0.5

RESERVED_FILES = 512
"""File descriptors reserved for everything except client connections."""


class LimitedConnection(web.RequestHandler):
    """One connection; reports to the limiter when its client stops reading (back-pressure)."""

    __slots__ = ("_limiter",)

    def __init__(self, limiter: "ConnectionLimiter", **kwargs: Any) -> None:
        super().__init__(limiter, **kwargs)
        self._limiter = limiter

    def pause_writing(self) -> None:
        super().pause_writing()
        self._limiter.mark_stalled(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._limiter.mark_reading(self)


class ConnectionLimiter(ServerWrapper):
    """Creates the connections of a service, and closes the idle and stalled ones.

    At the maximum, a new connection replaces the longest-idle one. A connection with a request in
    progress is never closed to make space.
    """

    def __init__(
        self,
        server: web.Server,
        max_connections: int,
        *,
        fast_path: FastPathHandler | None,
        open_gauge: Gauge,
        closed_counter: Counter,
    ) -> None:
        super().__init__(server, self._handle_request)
        self.fast_path = fast_path
        """Handler called before the application; None disables it."""
        self._application_handler: Callable[[Any], Awaitable[web.StreamResponse]] = server.request_handler
        self._max_connections = max_connections
        self._open_gauge = open_gauge
        self._closed_counter = closed_counter
        self._transports: dict[web.RequestHandler, asyncio.Transport] = {}
        self._idle_deadlines: dict[web.RequestHandler, float] = {}
        """Deadlines of the connections without a request in progress, longest idle first."""
        self._stall_deadlines: dict[web.RequestHandler, float] = {}
        open_gauge.set(0)

    def __call__(self) -> LimitedConnection:
        return LimitedConnection(self, **self.connection_options)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._transports[handler] = transport
        self._idle_deadlines[handler] = self.loop.time() + HEAD_TIMEOUT_S
        if len(self._transports) > self._max_connections:
            self._abort(next(iter(self._idle_deadlines)), "crowded")
        self._open_gauge.set(len(self._transports))

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._transports.pop(handler, None)
        self._idle_deadlines.pop(handler, None)
        self._stall_deadlines.pop(handler, None)
        self._open_gauge.set(len(self._transports))

    def mark_stalled(self, handler: web.RequestHandler) -> None:
        """The write buffer is full: start the stall timeout."""
        self._stall_deadlines[handler] = self.loop.time() + STALL_TIMEOUT_S

    def mark_reading(self, handler: web.RequestHandler) -> None:
        """The client has read enough: cancel the stall timeout."""
        self._stall_deadlines.pop(handler, None)

    async def close_expired(self) -> None:
        """Close connections whose deadline has passed; runs until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            now = self.loop.time()
            for deadlines, reason in ((self._idle_deadlines, "idle"), (self._stall_deadlines, "stalled")):
                for handler in [handler for handler, deadline in deadlines.items() if deadline <= now]:
                    self._abort(handler, reason)

    async def _handle_request(self, request: web.BaseRequest) -> web.StreamResponse:
        self._idle_deadlines.pop(request.protocol, None)
        try:
            response = self.fast_path(request) if self.fast_path else None
            return await self._application_handler(request) if response is None else response
        finally:
            if request.protocol in self._transports:
                self._idle_deadlines[request.protocol] = self.loop.time() + IDLE_TIMEOUT_S

    def _abort(self, handler: web.RequestHandler, reason: str) -> None:
        self._idle_deadlines.pop(handler, None)
        self._stall_deadlines.pop(handler, None)
        if handler in self._transports:
            self._closed_counter.add(reason=reason)
            self._transports.pop(handler).abort()


class LimitedAppRunner(WrappingRunner):
    """Runs an application with a ConnectionLimiter; `limiter` is set by `setup`."""

    __slots__ = ("_closed_counter", "_max_connections", "_open_gauge", "limiter")

    limiter: ConnectionLimiter

    def __init__(
        self,
        app: web.Application,
        max_connections: int,
        *,
        open_gauge: Gauge,
        closed_counter: Counter,
        **kwargs: Any,
    ) -> None:
        super().__init__(app, **kwargs)
        self._max_connections = max_connections
        self._open_gauge = open_gauge
        self._closed_counter = closed_counter

    def wrap(self, server: web.Server) -> ConnectionLimiter:
        self.limiter = ConnectionLimiter(
            server,
            self._max_connections,
            fast_path=self.app.get(FAST_PATH),
            open_gauge=self._open_gauge,
            closed_counter=self._closed_counter,
        )
        return self.limiter


def connection_limit(requested: int) -> int:
    """The requested number of connections, reduced to what the limit of open files allows.

    Raises the soft limit of open files to the hard limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, requested + RESERVED_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return max(1, min(requested, hard - RESERVED_FILES))
