"""What is at hand is answered before a route is looked for: the busiest road of the edge."""

import time

from aiohttp import hdrs, web

from edge.variants.service import VariantService
from tagify.metrics import Counter, Histogram
from tagify.web import REQUEST_ID, FastPathHandler, RawResponse, valid_or_new_id

ROUTE = r"/media/{content}/{width}.{ending}"


def build_fast_path(
    variants: VariantService, seconds: Histogram, bytes_out: Counter, *, cors: bool
) -> FastPathHandler:
    """What stands before the routes and answers with what takes no waiting.

    It takes plain questions for a variant alone: conditions, ranges, other origins and old clients
    have their own handlers further on, which find the same answer. `shared` where other origins may ask:
    caches on the way have to keep their answers apart.
    """
    vary = f"{hdrs.VARY}: {hdrs.ORIGIN}\r\n" if cors else ""
    count_bytes, observe_seconds = bytes_out.bind(), seconds.bind(route=ROUTE, status="2xx")

    def respond(request: web.BaseRequest) -> web.StreamResponse | None:
        start, headers = time.perf_counter(), request.headers
        found = variants.get_nowait(request.raw_path) if _is_plain_get(request) else None
        if found is None:
            return None
        name = valid_or_new_id(headers.get(REQUEST_ID, ""))
        response = found.to_prebuilt(f"{vary}{REQUEST_ID}: {name}\r\n")
        count_bytes(found.size)
        observe_seconds(time.perf_counter() - start)
        return response

    return respond


def _is_plain_get(request: web.BaseRequest) -> bool:
    headers = request.headers
    return (
        hdrs.RANGE not in headers
        and request.method == hdrs.METH_GET
        and RawResponse.can_answer(request)
        and hdrs.IF_NONE_MATCH not in headers
        and hdrs.ORIGIN not in headers
    )
