"""Cancellation at every await of the edge: nothing is left behind, and the next request is answered."""

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

WAITS = 80
"""More than any request has."""

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
    """What this process has open, by name; others of its threads open and close files meanwhile."""
    for place in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            yield str(place.readlink())


class Edge:
    """An edge that can keep nothing, so that every request goes all the way."""

    def __init__(self, client: "TestClient[Any, Any]", app: web.Application) -> None:
        self.client = client
        self.app = app

    async def ask(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body; 0 where the connection ends before."""
        try:
            async with self.client.get(path, headers=headers) as response:
                return response.status, await response.read()
        except aiohttp.ClientError:
            return 0, b""

    async def at_rest(self) -> bool:
        async with self.client.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        return (
            not {"edge_transfers 1", "edge_variants_making 1"}.intersection(lines)
            and self.app[UPSTREAM]._connections._semaphore._value == MAX_TRANSFERS
            and not len(self.app[VARIANT_SERVICE]._flights)
            and not any("memfd:tagify" in name for name in open_files())
        )

    async def cancelled_everywhere(
        self, path: str, headers: dict[str, str], cancelling: AwaitCanceller
    ) -> int:
        """Ask for a path again and again, cancelled at one await after the other; how many there are."""
        expected = await self.ask(path, headers)
        assert expected[0] in (200, 206)
        for wait in range(1, WAITS):
            cancelling.nth, cancelling.reached = wait, False
            answer = await self.ask(path, headers)
            reached, cancelling.nth = cancelling.reached, 0
            await until(self.at_rest)
            again = await self.ask(path, headers)
            # The line between several parts is another each time.
            assert (again[0], len(again[1])) == (expected[0], len(expected[1]))
            if not reached:
                assert answer[0] == expected[0]
                return wait - 1
        raise AssertionError(f"more than {WAITS} waits")


@pytest.fixture
def app(mongo_values: Values, s3_values: Values, tmp_path: Path) -> web.Application:
    (tmp_path / "file").write_text("in the way")
    cache = tmp_path / "file" / "cache"
    return build(EdgeSettings(**mongo_values, **s3_values, edge_cache_dir=cache, edge_memory_bytes=0))


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
async def test_a_request_cancelled_at_any_await_leaves_nothing(
    app: web.Application, image: Image, path: Callable[[Image], str]
) -> None:
    cancelling = AwaitCanceller()

    @web.middleware
    async def cancelled(request: web.Request, handler: Any) -> Any:
        return await (handler if request.path == "/metrics" else cancelling.wrap(handler))(request)

    app.middlewares.append(cancelled)
    async with TestClient(TestServer(app)) as client:
        edge = Edge(client, app)
        for span in RANGES:
            headers = {"Range": span} if span else {}
            assert await edge.cancelled_everywhere(path(image), headers, cancelling) > 0


@pytest.mark.parametrize("path", VARIANT_PATHS, ids=list(PATHS)[2:])
async def test_a_making_cancelled_at_any_await_leaves_nothing(
    app: web.Application, image: Image, path: Callable[[Image], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelling = AwaitCanceller()
    monkeypatch.setattr(VariantRenderer, "render", cancelling.wrap(VariantRenderer.render))
    async with TestClient(TestServer(app)) as client:
        assert await Edge(client, app).cancelled_everywhere(path(image), {}, cancelling) > 0
