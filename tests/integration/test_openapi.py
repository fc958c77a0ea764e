"""The running service conforms to its OpenAPI document, and the reference page shows it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from api.app import build
from api.openapi import OPERATIONS
from tagify.catalog import Catalog, UpsertImage
from tagify.model import Content, FileFacts, GeoPosition, Picture
from tagify.settings import ApiSettings
from tagify.web.request_limits import MAX_REQUEST_LINE_BYTES
from tests.conftest import Values
from tests.support.browser import browser_page
from tests.support.openapi_conformance import failures, failures_with
from tests.support.waiting import until_ready

Client = TestClient[Any, Any]

pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the .random. module:hypothesis.errors.HypothesisDeprecationWarning"
)
"""Raised by the generator of invalid requests."""


@pytest.fixture
async def client(mongo_values: Values, catalog: Catalog, tmp_path: Path) -> AsyncIterator[Client]:
    """An API with a few ready images and a failed one."""
    library = await catalog.libraries.create("Test", str(tmp_path / "library"))
    writes = [
        UpsertImage(
            library.id,
            FileFacts(f"{number}.jpg", 100, number, number + 1),
            Content(hashlib.sha256(str(number).encode()).hexdigest()),
            Picture(
                "image/jpeg",
                600,
                400,
                b"\x01\x02",
                keywords=("sea", f"t{number}"),
                position=GeoPosition(1.0, 2.0),
                damaged=number == 0,
            ),
        )
        for number in range(5)
    ]
    broken = UpsertImage(library.id, FileFacts("broken.jpg", 1, 9, 9), error="it is no image")
    await catalog.images.write([*writes, broken])
    settings = ApiSettings(
        **mongo_values, media_base_url="http://edge.test", library_roots=(tmp_path,), api_costly=100
    )
    server = TestServer(build(settings))
    await server.start_server(max_line_size=MAX_REQUEST_LINE_BYTES)
    async with TestClient(server) as client_:
        await until_ready(client_)
        yield client_


def url(client: Client) -> str:
    return str(client.make_url("")).rstrip("/")


async def test_the_running_service_conforms_to_its_document(client: Client) -> None:
    assert "\n".join(await _failures(client, 5)) == ""


@pytest.mark.slow
async def test_the_running_service_conforms_to_its_document_with_many_examples(client: Client) -> None:
    assert await _failures(client, 60) == []


async def _failures(client: Client, examples: int) -> list[str]:
    return await asyncio.to_thread(failures, url(client), examples)


async def test_responses_for_existing_objects_conform_to_the_document(client: Client) -> None:
    image = (await (await client.get("/api/images")).json())["items"][0]["_id"]
    library = (await (await client.get("/api/libraries")).json())[0]["_id"]
    bodies = {
        "POST /api/tags/apply/{id}": ["sea", "sun"],
        "POST /api/tags/remove/{id}": ["sea"],
        "PATCH /api/libraries/{id}": {"name": "Renamed"},
    }

    def check() -> list[str]:
        return [
            *failures_with(url(client), "/api/images|/api/tags", {"id": image}, bodies),
            *failures_with(url(client), "/api/libraries", {"id": library}, bodies),
            *failures_with(url(client), "/gallery|/api/docs", {"name": "index.html"}, bodies),
        ]

    assert await asyncio.to_thread(check) == []


async def test_the_reference_page_shows_every_operation_under_a_strict_policy(client: Client) -> None:
    async with browser_page() as (page, troubles):
        await page.goto(str(client.make_url("/api/docs")))
        await page.wait_for_selector("details")
        shown = await page.locator("summary").all_inner_texts()
        assert len(shown) == len(OPERATIONS)
        await page.locator("summary", has_text="/api/images/tags").click()
        assert "ids: " in await page.locator("details[open]").inner_text()
        assert troubles == []
