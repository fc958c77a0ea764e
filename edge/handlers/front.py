"""What is in memory is answered before a route is looked for: the busiest road of the edge."""

import time

from aiohttp import hdrs, web

from edge.memory import Memory
from tagify.metrics import Counter, Histogram
from tagify.web import REQUEST_ID, Door, accepted

ROUTE = r"/media/{content}/{width}.{ending}"


def from_memory(
    memory: Memory, seconds: Histogram, layers: Counter, bytes_out: Counter, *, shared: bool
) -> Door:
    """What stands before the routes and knows only the memory.

    It takes plain questions for a variant alone: conditions and other origins have their own
    handlers further on, which find the same answer. `shared` where other origins may ask: caches
    on the way have to keep their answers apart.
    """
    hit, sent = layers.bound(layer="memory"), bytes_out.bound()
    took = seconds.bound(route=ROUTE, status="2xx")

    def answer(request: web.BaseRequest) -> web.Response | None:
        start = time.perf_counter()
        found = memory.get(request.raw_path)
        headers = request.headers
        if (
            found is None
            or request.method != hdrs.METH_GET
            or hdrs.IF_NONE_MATCH in headers
            or hdrs.ORIGIN in headers
        ):
            return None
        response = found.response()
        response.headers[REQUEST_ID] = accepted(headers.get(REQUEST_ID, ""))
        if shared:
            response.headers[hdrs.VARY] = hdrs.ORIGIN
        hit(1)
        sent(found.size)
        took(time.perf_counter() - start)
        return response

    return answer
