"""Graceful shutdown: started requests are finished, and clients are told to close their connections."""

import asyncio
import contextlib

from aiohttp import hdrs, web

from tagify.runtime.connections import LimitedAppRunner

KEEPALIVE_GRACE_S = 0.5
"""How long idle keep-alive connections are still served after SIGTERM, in seconds. NGINX may send a
request just before a connection is closed: it gets a response with `Connection: close`, and NGINX then
closes the connection itself."""

POLL_S = 0.01


class GracefulShutdown:
    """Stops an application's listeners and marks its last responses `Connection: close`.

    Create it before the application starts: afterwards aiohttp's signals are frozen.
    """

    def __init__(self, app: web.Application) -> None:
        self._draining = False
        app.on_response_prepare.append(self._add_connection_close)

    async def drain(self, runner: LimitedAppRunner) -> None:
        """Stop accepting connections, then wait up to KEEPALIVE_GRACE_S until the open ones are closed."""
        self._draining = True
        # Responses of the fast path bypass `_add_connection_close`.
        runner.limiter.fast_path = None
        for site in tuple(runner.sites):
            await site.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KEEPALIVE_GRACE_S):
                await _wait_until_closed(runner)

    async def _add_connection_close(self, _: web.Request, response: web.StreamResponse) -> None:
        if self._draining:
            response.force_close()
            # aiohttp has already chosen this header: `force_close` alone would close unannounced.
            response.headers[hdrs.CONNECTION] = "close"


async def _wait_until_closed(runner: web.AppRunner) -> None:
    while runner.server and runner.server.connections:  # noqa: ASYNC110 - aiohttp has no event for it
        await asyncio.sleep(POLL_S)
