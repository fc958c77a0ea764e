"""Fast path: which requests it handles, what it counts, and that an idle connection holds no body."""

import asyncio
import tracemalloc
from typing import Any, cast

import pytest
from aiohttp import HttpVersion10, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import RawTestServer, make_mocked_request

from edge.handlers.fast_path import build_fast_path
from edge.variants.cached_response import CachedResponse, immutable_response
from edge.variants.service import VariantService
from tagify.metrics import Metrics
from tagify.web import FastPathHandler, RawResponse

PATH = "/media/abc/320.webp"
BODY = bytes(1000)


class OneVariant:
    """A VariantService with a single cached variant."""

    def __init__(self) -> None:
        self.response = immutable_response(BODY, "image/webp", '"one"')

    def get_nowait(self, path: str) -> CachedResponse | None:
        return self.response if path == PATH else None


class CountedFastPath:
    """A fast path with its metrics."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        seconds = self.metrics.histogram("seconds", "")
        bytes_out = self.metrics.counter("sent_total", "")
        service = cast(VariantService, OneVariant())
        self.handle: FastPathHandler = build_fast_path(service, seconds, bytes_out, cors=False)

    def counted(self) -> tuple[float, float]:
        """Bytes sent and requests handled."""
        lines = self.metrics.exposition()[0].decode().splitlines()
        totals = [sum(float(line.split()[-1]) for line in lines if line.startswith(name)) for name in NAMES]
        return totals[0], totals[1]


NAMES = ("sent_total ", "seconds_count")


def test_plain_get_is_handled_and_counted_once() -> None:
    fast_path = CountedFastPath()
    assert isinstance(fast_path.handle(make_mocked_request("GET", PATH)), RawResponse)
    assert fast_path.counted() == (len(BODY), 1)


OTHER_REQUESTS: dict[str, dict[str, Any]] = {
    "HEAD": {"method": "HEAD"},
    "POST": {"method": "POST"},
    "another path": {"path": PATH + "?x=1"},
    "a condition": {"headers": {"If-None-Match": '"one"'}},
    "a range": {"headers": {"Range": "bytes=0-1"}},
    "another origin": {"headers": {"Origin": "https://pages.example"}},
    "an expectation": {"headers": {"Expect": "100-continue"}},
    "HTTP/1.0": {"version": HttpVersion10},
    "Connection: close": {"closing": True},
    "a body": {"payload": StreamReader(cast(BaseProtocol, None), 1, loop=cast(Any, object()))},
}


@pytest.mark.parametrize("changes", OTHER_REQUESTS.values(), ids=OTHER_REQUESTS)
def test_other_requests_are_left_to_the_routes(changes: dict[str, Any]) -> None:
    fast_path, request = CountedFastPath(), {"method": "GET", "path": PATH, **changes}
    mocked = make_mocked_request(request.pop("method"), request.pop("path"), **request)
    assert fast_path.handle(mocked) is None
    assert fast_path.counted() == (0, 0)


CLIENTS, LARGE = 40, 1 << 20


@pytest.mark.parametrize("responder", ["fast path", "route"])
async def test_idle_connection_holds_no_body(responder: str) -> None:
    async def respond(request: web.BaseRequest) -> web.StreamResponse:
        cached = immutable_response(bytearray(LARGE), "image/webp", '"one"')
        return cached.to_raw_response("") if responder == "fast path" else cached.to_response()

    async with RawTestServer(respond) as server:
        tracemalloc.start()
        clients = []
        for _ in range(CLIENTS):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"200 OK" in head
            await reader.readexactly(LARGE)
            clients.append(writer)
        held_bytes, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        for writer in clients:
            writer.close()
            await writer.wait_closed()
    # The last response and the clients' read buffers are not released at once.
    assert held_bytes < CLIENTS * LARGE / 4
