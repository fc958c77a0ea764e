"""The stream of events."""

from contextlib import aclosing

from aiohttp import hdrs, web

from api.keys import EVENTS

routes = web.RouteTableDef()


@routes.get("/api/events")
async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: "text/event-stream",
            hdrs.CACHE_CONTROL: "no-store",
            # NGINX would hold events back to fill its buffer.
            "X-Accel-Buffering": "no",
        }
    )
    await response.prepare(request)
    last = request.headers.get("Last-Event-ID") or None
    async with aclosing(request.app[EVENTS].listen(last)) as stream:
        async for event in stream:
            await response.write(event)
    return response
