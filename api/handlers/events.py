"""The stream of events."""

import asyncio

from aiohttp import hdrs, web

from api.app_keys import EVENTS
from api.events import Reader, sse
from tagify.errors import Unavailable
from tagify.web import UNTIMED

STALL_S = 10.0
"""A client that takes nothing for so long is dropped, in seconds."""

routes = web.RouteTableDef()


@routes.get("/api/events")
async def events(request: web.Request) -> web.StreamResponse:
    with request.app[EVENTS].admitted():
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: "text/event-stream",
                hdrs.CACHE_CONTROL: "no-store",
                # NGINX would hold events back to fill its buffer.
                "X-Accel-Buffering": "no",
            }
        )
        request[UNTIMED] = True
        await response.prepare(request)
        try:
            reader = await request.app[EVENTS].reader(request.headers.get("Last-Event-ID") or None)
        except (Unavailable, TimeoutError):
            # Any other answer than a stream that ends would keep a browser from coming again.
            return response
        await response.write(sse.hello(reader.token))
        await _pass_on(request, response, reader)
        return response


async def _pass_on(request: web.Request, response: web.StreamResponse, reader: Reader) -> None:
    while not reader.ended:
        if await _written(response, await reader.next()):
            continue
        # It reads nothing. Should it go on now, the last it finds is that it has to reload.
        if not await _written(response, reader.give_up()) and request.transport is not None:
            request.transport.abort()


async def _written(response: web.StreamResponse, chunk: bytes) -> bool:
    """Whether the client has taken enough of what it was sent."""
    try:
        async with asyncio.timeout(STALL_S):
            await response.write(chunk)
    except TimeoutError:
        return False
    return True
