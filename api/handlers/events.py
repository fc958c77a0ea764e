"""The event stream (server-sent events)."""

import asyncio

from aiohttp import hdrs, web

from api.app_keys import EVENT_HUB
from api.events import Subscriber, sse
from tagify.errors import Unavailable
from tagify.web import UNTIMED

STALL_TIMEOUT_S = 10.0
"""A client that reads nothing for this long is disconnected, in seconds."""

routes = web.RouteTableDef()


@routes.get("/api/events")
async def stream_events(request: web.Request) -> web.StreamResponse:
    with request.app[EVENT_HUB].client_slot():
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: "text/event-stream",
                hdrs.CACHE_CONTROL: "no-store",
                # Otherwise NGINX buffers events.
                "X-Accel-Buffering": "no",
            }
        )
        request[UNTIMED] = True
        await response.prepare(request)
        try:
            subscriber = await request.app[EVENT_HUB].subscribe(request.headers.get("Last-Event-ID") or None)
        except (Unavailable, TimeoutError):
            # End the stream normally: browsers do not reconnect after an error status.
            return response
        await response.write(sse.stream_start(subscriber.start_token))
        await _send_events(request, response, subscriber)
        return response


async def _send_events(request: web.Request, response: web.StreamResponse, subscriber: Subscriber) -> None:
    while not subscriber.ended:
        if await _write_in_time(response, await subscriber.next_chunk()):
            continue
        # The client stalls. If it reads again now, the last event in the stream is `reload`.
        if not await _write_in_time(response, subscriber.end_with_reload()) and request.transport is not None:
            request.transport.abort()


async def _write_in_time(response: web.StreamResponse, chunk: bytes) -> bool:
    """Write a chunk; False when the client did not read enough within STALL_TIMEOUT_S."""
    try:
        async with asyncio.timeout(STALL_TIMEOUT_S):
            await response.write(chunk)
    except TimeoutError:
        return False
    return True
