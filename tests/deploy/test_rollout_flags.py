"""Settings that change what a client gets, switched there and back under a browser and nginx with its caches."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import Page

import api.app
import edge.app
from tagify.catalog import Catalog
from tagify.settings import SERVICES, ApiSettings, CommonSettings, EdgeSettings, NginxSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support import pictures
from tests.support.browser import browser_page
from tests.support.catalog_fixtures import insert_stored_image
from tests.support.nginx_site import NginxSite, nginx_site, stub_service
from tests.support.ports import free_ports
from tests.support.waiting import until

S = TypeVar("S", bound=CommonSettings)

IMAGES = 3

over_minio = pytest.mark.parametrize("s3", ["minio"], indirect=True)

SWITCHED = {
    "media_mode",
    "s3_public_endpoint",
    "media_base_url",
    "media_widths",
    "cors_origins",
    "edge_thumb_formats",
    "edge_x_accel",
}
"""Settings that change URLs, formats or headers of the same page and the same images: tested here."""

ADDRESSES = {"hosts", "nginx_server_name", "trusted_proxies", "nginx_trusted_proxies"} | {
    f"nginx_{name}" for name in ("listen", "tls_listen", "tls_certificate", "tls_key")
}
"""Settings that change under which address clients reach the site: the page has another origin, with caches of
its own."""

LIMITS = {
    *("api_rate", "api_burst", "api_costly", "api_event_clients", "max_connections", "max_pixels"),
    *(
        "edge_queue_size",
        "edge_decode_mb",
        "edge_decode_s",
        "nginx_requests_per_s",
        "nginx_streams_per_client",
    ),
}
"""Settings that only decide which requests get an error, which nothing caches."""


def internal_settings() -> set[str]:
    """Settings of servers, folders, sizes, times and logs: the same request gets the same answer."""
    names = {name for model in SERVICES for name in model.model_fields}
    parts = ("mongo_", "s3_", "ingest_", "log_", "slow_", "_cache_", "_socket", "_host", "_port", "_workers")
    others = {"library_roots", "drain_s", "settings_file", "edge_memory_bytes", "edge_purge_url"}
    others |= {"nginx_api", "nginx_edge", "nginx_ingest", "nginx_access_log", "nginx_original_cache_bytes"}
    return {name for name in names if any(part in name for part in parts)} | others


def test_every_setting_is_switched_here_or_changes_no_cached_response() -> None:
    names = {name for model in SERVICES for name in model.model_fields}
    assert names == SWITCHED | ADDRESSES | LIMITS | (internal_settings() - SWITCHED)


class Site:
    """The API and the edge in this process, restarted with other settings behind an nginx that keeps its caches."""

    def __init__(self, front: NginxSite, values: Values, edge_port: int) -> None:
        self.front = front
        self.url = f"http://127.0.0.1:{front.port}/"
        self._values = {**values, "edge_cache_dir": front.folder / "edge-cache"}
        self.edge_port = edge_port
        self._runners: list[web.AppRunner] = []

    async def restart(self, **flags: Any) -> None:
        """Restart everything with these settings, and wait until nginx has revalidated the page."""
        await self.stop()
        values = self._values | flags
        await self._serve(edge.app.build(_settings(EdgeSettings, values)), "edge.sock", self.edge_port)
        await self._serve(api.app.build(_settings(ApiSettings, values)), "api.sock")
        own = {name: values[name] for name in NginxSettings.model_fields if name in values}
        await self.front.restart(**own)
        await until(self._has_current_page)

    async def stop(self) -> None:
        while self._runners:
            await self._runners.pop().cleanup()

    async def _serve(self, app: web.Application, socket: str, port: int | None = None) -> None:
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        self._runners.append(runner)
        await runner.setup()
        path = self.front.folder / socket
        path.unlink(missing_ok=True)
        await web.UnixSite(runner, str(path)).start()
        if port is not None:
            await web.TCPSite(runner, "127.0.0.1", port).start()

    async def _has_current_page(self) -> bool:
        connector = aiohttp.UnixConnector(str(self.front.folder / "api.sock"))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://localhost/") as response,
        ):
            etag = response.headers["ETag"]
        response, _ = await self.front.get("/")
        return response.headers["ETag"].removeprefix("W/") == etag


def _settings(model: type[S], values: Values) -> S:
    return model(**{name: value for name, value in values.items() if name in model.model_fields})


@pytest.fixture
async def site(
    catalog: Catalog, blobs: ObjectStore, mongo_values: Values, s3_values: Values, tmp_path: Path
) -> AsyncIterator[Site]:
    for number in range(IMAGES):
        data = pictures.jpeg(1000, 700, seed=number)
        await insert_stored_image(catalog, blobs, data, f"{number}.jpg", root=f"/srv/{number}")
    async with nginx_site(tmp_path) as front:
        running = Site(front, mongo_values | s3_values, free_ports())
        try:
            yield running
        finally:
            await running.stop()


async def assert_all_drawn(page: Page, site: Site) -> None:
    """Open the page, then one image; every picture is drawn."""
    await page.goto(site.url)
    tiles = page.locator(".tile img.loaded")
    await tiles.nth(IMAGES - 1).wait_for()
    assert all(await tiles.evaluate_all("images => images.map(image => image.naturalWidth > 0)"))
    await page.locator(".tile a").first.click()
    picture = page.locator("#picture")

    async def picture_is_drawn() -> bool:
        return bool(await picture.evaluate("image => image.complete && image.naturalWidth > 500"))

    await until(picture_is_drawn)


def flags_of(name: str, edge_port: int, s3_endpoint: str) -> Values:
    """The settings of a flag, switched on."""
    local_s3 = s3_endpoint.replace("127.0.0.1", "localhost")
    flags: dict[str, Values] = {
        "media_mode": {"media_mode": "presigned"},
        "s3_public_endpoint": {"media_mode": "presigned", "s3_public_endpoint": local_s3},
        "media_base_url": {"media_base_url": f"http://localhost:{edge_port}"},
        "media_widths": {"media_widths": (64, 640)},
        "cors_origins": {"cors_origins": ("https://photos.example.org",)},
        "edge_thumb_formats": {"edge_thumb_formats": ("avif", "webp")},
        "edge_x_accel": {"edge_x_accel": True},
    }
    return flags[name]


@pytest.mark.slow
@over_minio
async def test_a_flag_is_switched_there_and_back(site: Site, s3_values: Values) -> None:
    """The browser and nginx keep their caches; each flag draws all pictures without an error in the console."""
    async with browser_page() as (page, console_errors):
        await site.restart()
        await assert_all_drawn(page, site)
        for name in sorted(SWITCHED):
            for flags in (flags_of(name, site.edge_port, s3_values["s3_endpoint"]), {}):
                await site.restart(**flags)
                await assert_all_drawn(page, site)
                assert console_errors == [], (name, flags)


@pytest.mark.slow
@over_minio
async def test_an_open_page_reloads_itself_when_the_media_have_another_origin(
    site: Site, s3_values: Values
) -> None:
    async with browser_page() as (page, _):
        await site.restart()
        await page.goto(site.url)
        tiles = page.locator(".tile img.loaded")
        await tiles.nth(IMAGES - 1).wait_for()
        await site.restart(media_mode="presigned")
        # As after a `reload` event.
        await page.evaluate("import('/gallery/pages.js').then(pages => pages.restart())")
        await page.locator(f'.tile img.loaded[src^="{s3_values["s3_endpoint"]}"]').nth(IMAGES - 1).wait_for()


async def test_stored_media_have_the_resource_policy_of_the_present_settings(tmp_path: Path) -> None:
    async def variant(_: web.Request) -> web.Response:
        headers = {"Cache-Control": "public, max-age=31536000", "Cross-Origin-Resource-Policy": "same-site"}
        return web.Response(body=b"x", headers=headers)

    path = f"/media/{'ab' * 32}/320.webp"
    async with stub_service(variant, tmp_path / "edge.sock") as edge_stub, nginx_site(tmp_path) as front:
        for flags, expected in (
            ({}, "same-site"),
            ({"cors_origins": ("https://photos.example.org",)}, "cross-origin"),
            ({"media_base_url": "https://cdn.example.org"}, "cross-origin"),
            ({}, "same-site"),
        ):
            await front.restart(**flags)
            response, _ = await front.get(path)
            assert response.headers.getall("Cross-Origin-Resource-Policy") == [expected], flags
        assert edge_stub.request_counts == {path: 1}


async def test_the_stored_page_has_no_cors_headers_of_one_origin(tmp_path: Path) -> None:
    async def page(request: web.Request) -> web.Response:
        origin = request.headers.get("Origin")
        return web.Response(body=b"x", headers={"Access-Control-Allow-Origin": origin} if origin else {})

    async with stub_service(page, tmp_path / "api.sock"), nginx_site(tmp_path) as front:
        response, _ = await front.get("/", headers={"Origin": "https://photos.example.org"})
        assert (response.status, response.headers["X-Cache"]) == (200, "MISS")
        assert "Access-Control-Allow-Origin" not in response.headers
