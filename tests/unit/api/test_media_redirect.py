"""Without NGINX the API redirects media requests to the edge, on the host that the client used."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler

from api.app_keys import SETTINGS
from api.handlers import media
from tagify.errors import NotFound
from tagify.settings import ApiSettings

CONTENT = "c" * 64


@pytest.mark.parametrize(
    ("host", "edge"),
    [
        ("127.0.0.2:8000", "http://127.0.0.2:9000"),
        ("[fd00::1]:8000", "http://[fd00::1]:9000"),
        ("Photos.Test", "http://photos.test:9000"),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        f"/media/{CONTENT}/original",
        f"/media/{CONTENT}/640.webp?a=b%26",
        f"/api/images/{'0' * 24}/thumb?v={CONTENT}",
        f"/api/images/{'0' * 24}/file?download=1",
    ],
)
async def test_media_are_on_the_host_of_the_request(host: str, edge: str, path: str) -> None:
    assert await location(ApiSettings(media_port=9000), host, path) == f"{edge}{path}"


async def test_a_media_url_takes_precedence() -> None:
    settings = ApiSettings(media_port=9000, media_base_url="https://cdn.test")
    path = f"/media/{CONTENT}/original"
    assert await location(settings, "127.0.0.1", path) == f"https://cdn.test{path}"


async def test_without_an_edge_there_are_no_media() -> None:
    assert await location(ApiSettings(), "127.0.0.1", f"/media/{CONTENT}/original") is None


async def location(settings: ApiSettings, host: str, path: str) -> str | None:
    """Where the API redirects to; None for 404."""
    app = web.Application()
    app[SETTINGS] = settings
    app.add_routes(media.routes)
    app.middlewares.append(as_status)
    async with (
        TestClient(TestServer(app)) as client,
        client.get(path, headers={"Host": host}, allow_redirects=False) as response,
    ):
        assert response.status in (307, 404)
        return response.headers.get("Location")


@web.middleware
async def as_status(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except NotFound:
        return web.Response(status=404)
