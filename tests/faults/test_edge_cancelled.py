"""Cancellation at every await of a request: nothing leaks, and the next request succeeds."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from edge.app import build
from edge.app_keys import UPSTREAM, VARIANT_SERVICE
from edge.originals.upstream import MAX_TRANSFERS
from edge.variants.renderer import VariantRenderer
from tagify.catalog import Catalog
from tagify.model import Image
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support import pictures
from tests.support.cancellation import AwaitCanceller
from tests.support.catalog_fixtures import insert_stored_image
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

MAX_AWAITS = 80
"""More awaits than any request has."""

PATHS: dict[str, Callable[[Image], str]] = {
    "an original": lambda image: f"/media/{image.content}/original",
    "a file by id": lambda image: f"/api/images/{image.id}/file",
    "a variant from the thumb": lambda image: f"/media/{image.content}/320.webp",
    "a variant from the original": lambda image: f"/media/{image.content}/768.jpg",
    "an AVIF": lambda image: f"/media/{image.content}/160.avif",
    "a variant of another width's bytes": lambda image: f"/media/{image.content}/2048.jpg",
    "a thumb by id": lambda image: f"/api/images/{image.id}/thumb",
}
VARIANT_PATHS = list(PATHS.values())[2:]
RANGES = ("", "bytes=5-", "bytes=0-9,100-199")


@pytest.fixture
async def image(catalog: Catalog, blobs: ObjectStore) -> Image:
    return await insert_stored_image(catalog, blobs, pictures.jpeg(900, 600))


def open_files() -> Iterator[str]:
    """Targets of the open file descriptors; other threads may open and close files meanwhile."""
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            yield str(link.readlink())


class UncachedEdge:
    """An edge without working caches, so that every request does the full work."""

    def __init__(self, client: "TestClient[Any, Any]", app: web.Application) -> None:
        self.client = client
        self.app = app

    async def fetch(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body; status 0 where the connection closes first."""
        try:
            async with self.client.get(path, headers=headers) as response:
                return response.status, await response.read()
        except aiohttp.ClientError:
            return 0, b""

    async def is_idle(self) -> bool:
        async with self.client.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        return (
            not {"edge_transfers 1", "edge_variants_making 1"}.intersection(lines)
            and self.app[UPSTREAM]._connections._semaphore._value == MAX_TRANSFERS
            and not len(self.app[VARIANT_SERVICE]._flights)
            and not any("memfd:tagify" in name for name in open_files())
        )

    async def cancel_at_every_await(
        self, path: str, headers: dict[str, str], canceller: AwaitCanceller
    ) -> int:
        """Repeat a request, cancelled at one await after the other; the number of awaits."""
        expected = await self.fetch(path, headers)
        assert expected[0] in (200, 206)
        for nth in range(1, MAX_AWAITS):
            canceller.nth, canceller.reached = nth, False
            response = await self.fetch(path, headers)
            reached, canceller.nth = canceller.reached, 0
            await until(self.is_idle)
            again = await self.fetch(path, headers)
            # The boundary of a multipart body is random.
            assert (again[0], len(again[1])) == (expected[0], len(expected[1]))
            if not reached:
                assert response[0] == expected[0]
                return nth - 1
        raise AssertionError(f"more than {MAX_AWAITS} awaits")


@pytest.fixture
def app(mongo_values: Values, s3_values: Values, tmp_path: Path) -> web.Application:
    (tmp_path / "file").write_text("in the way")
    cache = tmp_path / "file" / "cache"
    return build(EdgeSettings(**mongo_values, **s3_values, edge_cache_dir=cache, edge_memory_bytes=0))


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
async def test_request_cancelled_at_any_await_leaks_nothing(
    app: web.Application, image: Image, path: Callable[[Image], str]
) -> None:
    canceller = AwaitCanceller()

    @web.middleware
    async def cancel_request(request: web.Request, handler: Any) -> Any:
        return await (handler if request.path == "/metrics" else canceller.wrap(handler))(request)

    app.middlewares.append(cancel_request)
    async with TestClient(TestServer(app)) as client:
        edge = UncachedEdge(client, app)
        for span in RANGES:
            headers = {"Range": span} if span else {}
            assert await edge.cancel_at_every_await(path(image), headers, canceller) > 0


@pytest.mark.parametrize("path", VARIANT_PATHS, ids=list(PATHS)[2:])
async def test_render_cancelled_at_any_await_leaks_nothing(
    app: web.Application, image: Image, path: Callable[[Image], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    canceller = AwaitCanceller()
    monkeypatch.setattr(VariantRenderer, "render", canceller.wrap(VariantRenderer.render))
    async with TestClient(TestServer(app)) as client:
        assert await UncachedEdge(client, app).cancel_at_every_await(path(image), {}, canceller) > 0
