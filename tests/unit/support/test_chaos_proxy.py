"""The chaos proxy injects the selected faults, and forwards bytes unchanged without them."""

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
    async def respond(_: web.Request) -> web.Response:
        return web.Response(body=BODY)

    app = web.Application()
    app.router.add_get("/", respond)
    server = TestServer(app)
    await server.start_server()
    async with chaos_proxy(str(server.make_url(""))) as running_proxy:
        yield running_proxy
    await server.close()


async def fetch(proxy: ChaosProxy, timeout_s: float = 10) -> tuple[int, bytes]:
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(proxy.endpoint) as response:
        return response.status, await response.read()


async def test_bytes_are_unchanged_without_faults(proxy: ChaosProxy) -> None:
    assert await fetch(proxy) == (200, BODY)
    proxy.canned_response = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"
    assert await fetch(proxy) == (503, b"")
    proxy.clear_faults()
    assert await fetch(proxy) == (200, BODY)
    assert proxy.accepted_count == 3

    async def all_closed() -> bool:
        return proxy.open_connections == 0

    await until(all_closed)


@pytest.mark.parametrize("reset", [False, True])
async def test_response_is_truncated(proxy: ChaosProxy, reset: bool) -> None:
    proxy.cut_after, proxy.reset = 100_000, reset
    with pytest.raises(aiohttp.ClientError):
        await fetch(proxy)


async def test_latency_rate_blackhole_and_refusal(proxy: ChaosProxy) -> None:
    loop = asyncio.get_running_loop()
    proxy.latency_s = 0.2
    start = loop.time()
    assert await fetch(proxy) == (200, BODY)
    assert loop.time() - start >= 0.2
    proxy.clear_faults()
    proxy.rate = 4e6
    start = loop.time()
    assert await fetch(proxy) == (200, BODY)
    assert loop.time() - start >= 0.2
    proxy.clear_faults()
    proxy.blackhole = True
    with pytest.raises(TimeoutError):
        await fetch(proxy, timeout_s=0.2)
    proxy.clear_faults()
    proxy.refuse = True
    with pytest.raises((aiohttp.ClientError, OSError)):
        await fetch(proxy)
