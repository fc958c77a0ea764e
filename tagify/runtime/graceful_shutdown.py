"""The end of a service's connections: each is told, each request is answered, none is broken."""

import asyncio
import contextlib

from aiohttp import hdrs, web

from tagify.runtime.connections import GatedRunner

LINGER_S = 0.5
"""How long connections that are kept alive are still served once the service was told to stop, in
seconds. NGINX may send a request on one just before it is closed; here it is answered, with
`Connection: close`, and NGINX lets the connection go by itself."""

LOOK_S = 0.01


class Draining:
    """Marks answers of an application that is about to end. Made before the application starts."""

    def __init__(self, app: web.Application) -> None:
        self._begun = False
        app.on_response_prepare.append(self._mark)

    async def drain(self, runner: GatedRunner) -> None:
        """Take no further connection, and wait for those that are there, a little while."""
        self._begun = True
        # What answers at the door is not marked.
        runner.gate.door = None
        for site in tuple(runner.sites):
            await site.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await _all_gone(runner)

    async def _mark(self, _: web.Request, response: web.StreamResponse) -> None:
        if self._begun:
            response.force_close()
            # The headers are made by now: without this word it would close unannounced.
            response.headers[hdrs.CONNECTION] = "close"


async def _all_gone(runner: web.AppRunner) -> None:
    while runner.server and runner.server.connections:  # noqa: ASYNC110 - aiohttp has no event for it
        await asyncio.sleep(LOOK_S)
