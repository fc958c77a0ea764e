"""The proxy that misbehaves does what its faults say, and passes bytes on faithfully without them."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.chaos_proxy import ChaosProxy, chaos_proxy
from tests.support.waiting import until

BODY = bytes(range(256)) * 4096


@pytest.fixture
async def proxy() -> AsyncIterator[ChaosProxy]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=BODY)

    app = web.Application()
    app.router.add_get("/", answer)
    server = TestServer(app)
    await server.start_server()
    async with chaos_proxy(str(server.make_url(""))) as made:
        yield made
    await server.close()


async def got(proxy: ChaosProxy, timeout_s: float = 10) -> tuple[int, bytes]:
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(proxy.endpoint) as response:
        return response.status, await response.read()


async def test_it_is_faithful_until_told_otherwise(proxy: ChaosProxy) -> None:
    assert await got(proxy) == (200, BODY)
    proxy.canned_response = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"
    assert await got(proxy) == (503, b"")
    proxy.clear_faults()
    assert await got(proxy) == (200, BODY)
    assert proxy.accepted_count == 3

    async def closed() -> bool:
        return proxy.open_connections == 0

    await until(closed)


@pytest.mark.parametrize("reset", [False, True])
async def test_a_connection_is_cut(proxy: ChaosProxy, reset: bool) -> None:
    proxy.cut_after, proxy.reset = 100_000, reset
    with pytest.raises(aiohttp.ClientError):
        await got(proxy)


async def test_it_is_slow_silent_or_refuses(proxy: ChaosProxy) -> None:
    loop = asyncio.get_running_loop()
    proxy.latency_s = 0.2
    start = loop.time()
    assert await got(proxy) == (200, BODY)
    assert loop.time() - start >= 0.2
    proxy.clear_faults()
    proxy.rate = 4e6
    start = loop.time()
    assert await got(proxy) == (200, BODY)
    assert loop.time() - start >= 0.2
    proxy.clear_faults()
    proxy.blackhole = True
    with pytest.raises(TimeoutError):
        await got(proxy, timeout_s=0.2)
    proxy.clear_faults()
    proxy.refuse = True
    with pytest.raises((aiohttp.ClientError, OSError)):
        await got(proxy)
