"""X-Accel-Redirect: NGINX's responses equal the edge's, and no other file can be read."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import hdrs, web

from edge.app import build
from tagify.catalog import Catalog
from tagify.model import Image
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tagify.web import METRICS
from tagify.web.x_accel import CACHE_LOCATION, SENDFILE_TYPE, X_ACCEL_REDIRECT
from tests.conftest import Values
from tests.support import pictures
from tests.support.catalog_fixtures import insert_stored_image
from tests.support.nginx_site import NginxSite, nginx_site, stub_service
from tests.support.waiting import until

over_minio = pytest.mark.parametrize("s3", ["minio"], indirect=True)

ORIGIN = "https://photos.example.org"
IGNORED_HEADERS = {"Date", "X-Request-ID", "Server-Timing"}
PAST, FUTURE = "Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.fixture
async def image(catalog: Catalog, blobs: ObjectStore) -> Image:
    return await insert_stored_image(catalog, blobs, pictures.jpeg(1200, 800))


@dataclass(frozen=True, slots=True)
class Deployment:
    """An nginx that requests X-Accel-Redirect, and the edge behind it."""

    site: NginxSite
    cache: Path
    app: web.Application

    async def request(
        self, path: str, method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.site.client.request(method, path, headers=sent) as response:
            received = {
                name: value for name, value in response.headers.items() if name not in IGNORED_HEADERS
            }
            return response.status, received, await response.read()

    def redirect_count(self) -> float:
        """Number of responses whose body NGINX sent."""
        lines = self.app[METRICS].exposition()[0].decode().splitlines()
        series = 'edge_variant_answers_total{layer="handed"} '
        return sum(float(line.removeprefix(series)) for line in lines if line.startswith(series))


@asynccontextmanager
async def deployment(values: dict[str, Any], folder: Path, *, x_accel: bool) -> AsyncIterator[Deployment]:
    """An edge behind nginx. NGINX always permits X-Accel-Redirect; the edge uses it if `x_accel`."""
    folder.mkdir()
    cache = folder / "edge-cache"
    settings = EdgeSettings(
        **values, edge_cache_dir=cache, edge_x_accel=x_accel, edge_memory_bytes=0, cors_origins=(ORIGIN,)
    )
    app = build(settings)
    runner = web.AppRunner(app)
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.UnixSite(runner, str(folder / "edge.sock")).start()
        site = nginx_site(folder, edge_x_accel=True, edge_cache_dir=cache, cors_origins=(ORIGIN,))
        yield Deployment(await stack.enter_async_context(site), cache, app)


@pytest.fixture
async def deployments(
    mongo_values: Values, s3_values: Values, tmp_path: Path
) -> AsyncIterator[tuple[Deployment, Deployment]]:
    """One with X-Accel-Redirect, and one without."""
    values = {**mongo_values, **s3_values}
    async with (
        deployment(values, tmp_path / "accelerated", x_accel=True) as accelerated,
        deployment(values, tmp_path / "plain", x_accel=False) as plain,
    ):
        yield accelerated, plain


def paths(image: Image) -> list[str]:
    media, thumb = f"/media/{image.content}", f"/api/images/{image.id}/thumb"
    return [f"{media}/320.jpg", f"{media}/768.webp", f"{thumb}?v={image.content}", thumb]


async def warm_up(accelerated: Deployment, image: Image) -> None:
    """Request every path until its file is rendered, cached and verified: the next response may redirect."""
    for path in paths(image):
        for _ in range(3):
            assert (await accelerated.request(path, Accept="image/webp"))[0] == 200


REQUEST_HEADERS: list[dict[str, str]] = [
    {},
    {"Origin": ORIGIN},
    {"Origin": "https://elsewhere.example.org"},
    {"Range": "bytes=0-99"},
    {"Range": "bytes=999999999-"},
    {"Range": "bytes=0-99", "If_Range": '"another"'},
    {"If_None_Match": '"another"'},
    {"If_None_Match": "*"},
    {"If_Match": "*"},
    {"If_Match": '"another"'},
    {"If_Modified_Since": FUTURE},
    {"If_Unmodified_Since": PAST},
    {"If_Unmodified_Since": FUTURE},
    {"Accept_Encoding": "gzip, br"},
    {"X_Sendfile_Type": "none"},
]


@over_minio
async def test_responses_equal_those_of_the_edge(
    deployments: tuple[Deployment, Deployment], image: Image
) -> None:
    accelerated, plain = deployments
    await warm_up(accelerated, image)
    for path in paths(image):
        for method in ("GET", "HEAD"):
            for headers in REQUEST_HEADERS:
                sent = {"Accept": "image/webp", **headers}
                before = accelerated.redirect_count()
                response = await accelerated.request(path, method, **sent)
                assert response == await plain.request(path, method, **sent), (path, method, headers)
                if not headers or "Range" in headers:
                    assert accelerated.redirect_count() == before + 1, (path, method, headers)
        _, received, _ = await accelerated.request(path, Accept="image/webp")
        status, _, body = await accelerated.request(
            path, Accept="image/webp", If_None_Match=received[hdrs.ETAG]
        )
        assert (status, body) == (304, b"")
    assert plain.redirect_count() == 0


def cache_files(cache: Path, suffix: str) -> list[Path]:
    """Files of the cache. Folders that the edge deletes meanwhile are skipped, which `rglob` does not do."""
    files = (Path(folder, name) for folder, _, names in os.walk(cache) for name in names)
    return [path for path in files if path.name.endswith(suffix)]


@over_minio
async def test_missing_or_corrupt_cache_files_are_rendered_again(
    deployments: tuple[Deployment, Deployment], image: Image
) -> None:
    accelerated, _ = deployments
    await warm_up(accelerated, image)
    url_path = paths(image)[1]
    expected = await accelerated.request(url_path)
    for suffix in (".body", ".block"):
        for file in cache_files(accelerated.cache, suffix):
            file.unlink(missing_ok=True)
        assert await accelerated.request(url_path) == expected
    for file in cache_files(accelerated.cache, ".body"):
        file.write_bytes(bytes(file.stat().st_size))
    assert await accelerated.request(url_path) == expected


@over_minio
async def test_cache_is_readable_by_its_group_only(
    deployments: tuple[Deployment, Deployment], image: Image
) -> None:
    accelerated, plain = deployments
    for each in deployments:
        assert (await each.request(paths(image)[0]))[0] == 200

    async def is_written() -> bool:
        return any(accelerated.cache.rglob("*.block"))

    await until(is_written)
    (body,) = accelerated.cache.rglob("*.body")
    assert body.stat().st_mode & 0o777 == 0o640
    folders = [body.parent, body.parent.parent, accelerated.cache]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o710}
    assert plain.cache.stat().st_mode & 0o777 == 0o700


@over_minio
async def test_clients_cannot_request_cache_files(
    deployments: tuple[Deployment, Deployment], image: Image
) -> None:
    accelerated, _ = deployments
    await warm_up(accelerated, image)
    (body, *_) = accelerated.cache.rglob("*.body")
    name = str(body.relative_to(accelerated.cache))
    for path in (
        CACHE_LOCATION + name,
        "/" + CACHE_LOCATION + name,
        f"{CACHE_LOCATION}./{name}",
        f"/%5ftagify/cache/{name}",
        f"/_tagify/x/../cache/{name}",
        f"{CACHE_LOCATION}cache.db",
        f"{CACHE_LOCATION}../cache.db",
        f"{CACHE_LOCATION}..%2f..%2fetc/passwd",
        f"/media/..{CACHE_LOCATION}{name}",
        CACHE_LOCATION,
    ):
        for headers in ({}, {SENDFILE_TYPE: X_ACCEL_REDIRECT, X_ACCEL_REDIRECT: CACHE_LOCATION + name}):
            status = await raw_status(accelerated.site, path, headers)
            # Other paths are proxied to the API, which does not run here: 503.
            assert status in (b"404", b"400", b"503"), (path, status)


async def raw_status(site: NginxSite, path: str, headers: dict[str, str]) -> bytes:
    """The status for a path that the client must not normalize."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n".encode())
    response = await reader.read()
    writer.close()
    await writer.wait_closed()
    return response.split(b" ")[1]


async def test_compromised_edge_can_redirect_to_cache_bodies_only(tmp_path: Path) -> None:
    """For any other name the client gets the bytes that the edge sends without X-Accel-Redirect."""
    cache, secret = tmp_path / "cache", tmp_path / "secret"
    folder = cache / "aa" / "bb"
    folder.mkdir(parents=True)
    secret.write_bytes(b"secret")
    name = "aa/bb/" + "c" * 28 + ".body"
    (cache / "cache.db").write_bytes(b"secret")
    (folder / ("d" * 28 + ".block")).write_bytes(b"secret")
    (cache / name).symlink_to(secret)
    redirects = [name, "cache.db", "../secret", "aa/bb/" + "d" * 28 + ".block", "aa/bb/" + "e" * 28 + ".body"]

    async def edge(request: web.Request) -> web.Response:
        if request.headers.get(SENDFILE_TYPE) != X_ACCEL_REDIRECT:
            return web.Response(body=b"bytes")
        return web.Response(headers={X_ACCEL_REDIRECT: CACHE_LOCATION + redirects[int(request.path[-5])]})

    async with (
        stub_service(edge, tmp_path / "edge.sock"),
        nginx_site(tmp_path, edge_x_accel=True, edge_cache_dir=cache) as site,
    ):
        for number in range(len(redirects)):
            response, body = await site.get(f"/media/{'0' * 64}/16{number}.jpg")
            assert b"secret" not in body
            assert (response.status, body) == (200, b"bytes") or response.status == 404, redirects[number]
        # A file deleted between the edge's check and NGINX's open costs a second request, no error.
        response, body = await site.get(f"/media/{'0' * 64}/164.jpg")
        assert (response.status, body) == (200, b"bytes")
        (folder / ("e" * 28 + ".body")).write_bytes(b"file")
        response, body = await site.get(f"/media/{'0' * 64}/164.jpg")
        assert (response.status, body) == (200, b"file")


async def test_x_accel_is_off_by_default(tmp_path: Path) -> None:
    async def edge(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get(SENDFILE_TYPE, "none"))

    async with stub_service(edge, tmp_path / "edge.sock"), nginx_site(tmp_path) as site:
        for path in (f"/media/{'0' * 64}/160.jpg", f"/media/{'0' * 64}/original", "/media/else"):
            _, body = await site.get(path, headers={SENDFILE_TYPE: X_ACCEL_REDIRECT})
            assert body == b"none"
