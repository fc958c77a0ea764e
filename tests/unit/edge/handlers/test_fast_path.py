"""What is answered before a route is looked for, what is left to the routes, and what an answer leaves behind."""

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


class Held:
    """Variants that have one answer at hand."""

    def __init__(self) -> None:
        self.answer = immutable_response(BODY, "image/webp", '"one"')

    def get_nowait(self, path: str) -> CachedResponse | None:
        return self.answer if path == PATH else None


class Front:
    """A door, and what it counts."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        seconds = self.metrics.histogram("seconds", "")
        sent = self.metrics.counter("sent_total", "")
        self.door: FastPathHandler = build_fast_path(cast(VariantService, Held()), seconds, sent, cors=False)

    def counted(self) -> tuple[float, float]:
        """Bytes and answers."""
        lines = self.metrics.exposition()[0].decode().splitlines()
        totals = [sum(float(line.split()[-1]) for line in lines if line.startswith(name)) for name in NAMES]
        return totals[0], totals[1]


NAMES = ("sent_total ", "seconds_count")


def test_a_plain_question_is_answered_and_counted_once() -> None:
    front = Front()
    assert isinstance(front.door(make_mocked_request("GET", PATH)), RawResponse)
    assert front.counted() == (len(BODY), 1)


OTHERS: dict[str, dict[str, Any]] = {
    "HEAD": {"method": "HEAD"},
    "POST": {"method": "POST"},
    "another path": {"path": PATH + "?x=1"},
    "a condition": {"headers": {"If-None-Match": '"one"'}},
    "a range": {"headers": {"Range": "bytes=0-1"}},
    "another origin": {"headers": {"Origin": "https://pages.example"}},
    "an expectation": {"headers": {"Expect": "100-continue"}},
    "HTTP/1.0": {"version": HttpVersion10},
    "a connection that ends": {"closing": True},
    "a body": {"payload": StreamReader(cast(BaseProtocol, None), 1, loop=cast(Any, object()))},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_anything_else_is_left_to_the_routes(other: dict[str, Any]) -> None:
    front, asked = Front(), {"method": "GET", "path": PATH, **other}
    assert front.door(make_mocked_request(asked.pop("method"), asked.pop("path"), **asked)) is None
    assert front.counted() == (0, 0)


CLIENTS, LARGE = 40, 1 << 20


@pytest.mark.parametrize("way", ["at the door", "by a route"])
async def test_a_connection_that_waits_holds_no_answer(way: str) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        made = immutable_response(bytearray(LARGE), "image/webp", '"one"')
        return made.to_raw_response("") if way == "at the door" else made.to_response()

    async with RawTestServer(answer) as server:
        tracemalloc.start()
        clients = []
        for _ in range(CLIENTS):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"200 OK" in head
            await reader.readexactly(LARGE)
            clients.append(writer)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        for writer in clients:
            writer.close()
            await writer.wait_closed()
    # Which answer is the last one's, and what clients read into, is not let go of at once.
    assert held < CLIENTS * LARGE / 4
