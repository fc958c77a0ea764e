"""Limits over HTTP: every rejection is a problem response."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

import api.rate_limit.concurrency
import tagify.web.json
from api.app import build
from api.app_keys import CATALOG
from tagify.settings import ApiSettings
from tagify.web.request_limits import MAX_REQUEST_LINE_BYTES
from tests.conftest import Values
from tests.support.waiting import until_ready

Client = TestClient[Any, Any]
CLIENT_HEADERS = {"X-Forwarded-For": "198.51.100.1"}
JSON = {"Content-Type": "application/json"}


@asynccontextmanager
async def run_api(values: Values, **settings: Any) -> AsyncIterator[Client]:
    server = TestServer(build(ApiSettings(**values, media_base_url="http://edge.test", **settings)))
    await server.start_server(max_line_size=MAX_REQUEST_LINE_BYTES)
    async with TestClient(server) as client:
        # The driver leaves a connection that is ended in its handshake to the garbage collector.
        await until_ready(client)
        yield client


async def problem_type(response: aiohttp.ClientResponse) -> str:
    assert response.content_type == "application/problem+json"
    body = await response.json(content_type=None)
    assert body["status"] == response.status
    return str(body["type"]).removeprefix("urn:tagify:problem:")


async def test_rate_limit_headers_count_down_and_excess_requests_get_429(mongo_values: Values) -> None:
    async with run_api(mongo_values, api_rate=0.01, api_burst=3) as client:
        remaining = []
        for _ in range(3):
            async with client.get("/api/health", headers=CLIENT_HEADERS) as response:
                assert response.status == 200
                assert response.headers["RateLimit-Policy"] == '"client";q=3;w=300'
                remaining.append(response.headers["RateLimit"].partition(";t=")[0])
        assert remaining == ['"client";r=2', '"client";r=1', '"client";r=0']
        async with client.get("/api/health", headers=CLIENT_HEADERS) as response:
            assert (response.status, await problem_type(response)) == (429, "too-many-requests")
            assert 0 < int(response.headers["Retry-After"]) <= 100
            assert response.headers["RateLimit"].startswith('"client";r=0;t=')
        async with client.get("/api/health", headers={"X-Forwarded-For": "198.51.100.2"}) as response:
            assert response.status == 200
        async with client.get("/metrics") as response:
            assert 'api_requests_refused_total{reason="rate"} 1' in await response.text()


async def test_media_routes_and_local_processes_have_no_rate_limit(mongo_values: Values) -> None:
    async with run_api(mongo_values, api_rate=0.01, api_burst=1) as client:
        for path in (*[f"/api/images/{'0' * 24}/thumb"] * 3, *[f"/media/{'c' * 64}/320.webp"] * 3):
            async with client.get(path, headers=CLIENT_HEADERS, allow_redirects=False) as response:
                assert response.status == 307
            async with client.get("/api/health") as response:
                assert response.status == 200
                assert "RateLimit" not in response.headers


@pytest.mark.parametrize("length", [8_000, 20_000, 60_000])
async def test_a_url_that_is_too_long_gives_a_problem(mongo_values: Values, length: int) -> None:
    async with (
        run_api(mongo_values) as client,
        client.get(f"/api/images?tags={'x' * length}") as response,
    ):
        assert (response.status, await problem_type(response)) == (414, "url-too-long")


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large_gives_a_problem(mongo_values: Values, declared: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * (1 << 20)

    body: Any = io.BytesIO(b" " * (3 << 20)) if declared else chunks()
    async with (
        run_api(mongo_values) as client,
        client.post("/api/images/tags", data=body, headers=JSON) as response,
    ):
        assert (response.status, await problem_type(response)) == (413, "too-large")


async def test_a_body_that_does_not_arrive_gives_408(
    mongo_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tagify.web.json, "BODY_TIMEOUT_S", 0.1)
    release = asyncio.Event()

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await release.wait()

    async with (
        run_api(mongo_values) as client,
        client.post("/api/images/tags", data=never(), headers=JSON) as response,
    ):
        assert (response.status, await problem_type(response)) == (408, "request-timeout")
        release.set()


async def test_expensive_requests_are_limited_and_cheap_ones_are_not(
    mongo_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.rate_limit.concurrency, "QUEUE_TIMEOUT_S", 0.2)
    async with run_api(mongo_values, api_costly=1) as client:
        release, started = asyncio.Event(), asyncio.Event()

        async def slow(*_: Any, **__: Any) -> tuple[()]:
            started.set()
            await release.wait()
            return ()

        monkeypatch.setattr(client.app[CATALOG].listing, "newest", slow)

        async def by_offset() -> tuple[int, str]:
            async with client.get("/api/images?offset=5") as response:
                return response.status, await problem_type(response) if response.status != 200 else ""

        first = asyncio.create_task(by_offset())
        await started.wait()
        assert await by_offset() == (503, "busy")
        async with client.get("/api/images") as response:
            assert response.status == 200
        release.set()
        assert await first == (200, "")
        assert await by_offset() == (200, "")
