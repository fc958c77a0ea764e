"""What is in memory is answered before anything else is done: the busiest road of the edge."""

import time

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from edge.memory import Memory
from tagify.metrics import Counter, Histogram
from tagify.web import REQUEST_ID, accepted

ROUTE = r"/media/{content}/{width}.{ending}"


def from_memory(memory: Memory, seconds: Histogram, layers: Counter, bytes_out: Counter) -> Middleware:
    """A middleware to stand before all others.

    It takes plain questions for a variant alone: conditions and other origins have their own
    handlers further on, which find the same answer.
    """
    hit, sent = layers.bound(layer="memory"), bytes_out.bound()
    took = seconds.bound(route=ROUTE, status="2xx")

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        start = time.perf_counter()
        found = memory.get(request.raw_path)
        headers = request.headers
        if (
            found is None
            or request.method != hdrs.METH_GET
            or hdrs.IF_NONE_MATCH in headers
            or hdrs.ORIGIN in headers
        ):
            return await handler(request)
        response = found.response()
        response.headers[REQUEST_ID] = accepted(headers.get(REQUEST_ID, ""))
        hit(1)
        sent(found.size)
        took(time.perf_counter() - start)
        return response

    return answer
