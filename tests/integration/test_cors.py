"""CORS: pages of allowed origins may read every response, including streams and problems."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from api.app import build
from tagify.settings import ApiSettings
from tests.conftest import Values

Client = TestClient[Any, Any]
ORIGIN_HEADER = {"Origin": "https://photos.example.org"}


@asynccontextmanager
async def run_api(values: Values, *origins: str) -> AsyncIterator[Client]:
    settings = ApiSettings(**values, cors_origins=origins)
    async with TestClient(TestServer(build(settings))) as client:
        yield client


@pytest.mark.parametrize("origin", ["https://photos.example.org", "*"])
@pytest.mark.parametrize("path", ["/api/tags", "/api/events", "/api/nothing", "/api/images?limit=x"])
async def test_an_allowed_origin_may_read_responses(mongo_values: Values, origin: str, path: str) -> None:
    async with run_api(mongo_values, origin) as client, client.get(path, headers=ORIGIN_HEADER) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "https://photos.example.org"
        assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]
        assert "Origin" in ",".join(response.headers.getall("Vary"))


async def test_a_preflight_request_returns_allowed_methods_and_headers(mongo_values: Values) -> None:
    headers = ORIGIN_HEADER | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    async with (
        run_api(mongo_values, "https://photos.example.org") as client,
        client.options("/api/images/tags", headers=headers) as response,
    ):
        assert response.status == 204
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
        assert response.headers["Access-Control-Allow-Origin"] == "https://photos.example.org"


@pytest.mark.parametrize("origins", [(), ("https://else.example.org",)])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_other_origins_get_no_cors_headers(
    mongo_values: Values, origins: tuple[str, ...], method: str
) -> None:
    headers = ORIGIN_HEADER | {"Access-Control-Request-Method": "POST"}
    async with (
        run_api(mongo_values, *origins) as client,
        client.request(method, "/api/tags", headers=headers) as response,
    ):
        assert "Access-Control-Allow-Origin" not in response.headers
