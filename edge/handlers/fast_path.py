"""Fast path: serves cached variants before routing and middleware. Most requests of the edge take it."""

import time

from aiohttp import hdrs, web

from edge.variants.service import VariantService
from tagify.metrics import Counter, Histogram
from tagify.web import REQUEST_ID, AllowedHosts, FastPathHandler, RawResponse, valid_or_new_id
from tagify.web.resource_policy import RESOURCE_POLICY

ROUTE = r"/media/{content}/{width}.{ending}"
"""Value of the metric's label `route`: that of the variants' route."""


def build_fast_path(
    variants: VariantService,
    seconds: Histogram,
    bytes_out: Counter,
    *,
    cors: bool,
    policy: str = "same-site",
    allowed_hosts: AllowedHosts | None = None,
) -> FastPathHandler:
    """The handler that responds where no waiting is needed, and returns None where the routes must respond.

    It handles plain GET requests of a variant only: conditional, range and CORS requests and HTTP/1.0 are
    left to the routes, which send the same response. `cors`: CORS is configured, so responses need
    `Vary: Origin`. `policy` is the resource policy. `allowed_hosts`: other hosts are left to the routes.
    """
    fixed_lines = f"{RESOURCE_POLICY}: {policy}\r\n" + (f"{hdrs.VARY}: {hdrs.ORIGIN}\r\n" if cors else "")
    hosts = allowed_hosts or AllowedHosts(["*"])
    count_bytes, observe_seconds = bytes_out.bind(), seconds.bind(method="GET", route=ROUTE, status="2xx")

    def respond(request: web.BaseRequest) -> web.StreamResponse | None:
        start, headers = time.perf_counter(), request.headers
        cached = variants.get_nowait(request.raw_path) if _is_plain_get(request, hosts) else None
        if cached is None:
            return None
        request_id = valid_or_new_id(headers.get(REQUEST_ID, ""))
        response = cached.to_raw_response(f"{fixed_lines}{REQUEST_ID}: {request_id}\r\n")
        count_bytes(cached.size)
        observe_seconds(time.perf_counter() - start)
        return response

    return respond


def _is_plain_get(request: web.BaseRequest, hosts: AllowedHosts) -> bool:
    headers = request.headers
    return (
        hdrs.RANGE not in headers
        and request.method == hdrs.METH_GET
        and RawResponse.can_answer(request)
        and hdrs.IF_NONE_MATCH not in headers
        and hdrs.ORIGIN not in headers
        and hdrs.X_FORWARDED_HOST not in headers
        and hosts.allows(headers.get(hdrs.HOST, ""))
    )
