"""What is at hand is answered before a route is looked for: the busiest road of the edge."""

import time

from aiohttp import hdrs, web

from edge.variants.service import Variants
from tagify.metrics import Counter, Histogram
from tagify.web import REQUEST_ID, FastPathHandler, RawResponse, valid_or_new_id

ROUTE = r"/media/{content}/{width}.{ending}"


def at_hand(variants: Variants, seconds: Histogram, bytes_out: Counter, *, shared: bool) -> FastPathHandler:
    """What stands before the routes and answers with what takes no waiting.

    It takes plain questions for a variant alone: conditions, ranges, other origins and old clients
    have their own handlers further on, which find the same answer. `shared` where other origins may ask:
    caches on the way have to keep their answers apart.
    """
    vary = f"{hdrs.VARY}: {hdrs.ORIGIN}\r\n" if shared else ""
    sent, took = bytes_out.bound(), seconds.bound(route=ROUTE, status="2xx")

    def answer(request: web.BaseRequest) -> web.StreamResponse | None:
        start, headers = time.perf_counter(), request.headers
        found = variants.at_hand(request.raw_path) if _plain(request) else None
        if found is None:
            return None
        name = valid_or_new_id(headers.get(REQUEST_ID, ""))
        response = found.prebuilt(f"{vary}{REQUEST_ID}: {name}\r\n")
        sent(found.size)
        took(time.perf_counter() - start)
        return response

    return answer


def _plain(request: web.BaseRequest) -> bool:
    headers = request.headers
    return (
        hdrs.RANGE not in headers
        and request.method == hdrs.METH_GET
        and RawResponse.can_answer(request)
        and hdrs.IF_NONE_MATCH not in headers
        and hdrs.ORIGIN not in headers
    )
