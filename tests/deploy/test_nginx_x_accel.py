"""Variants that NGINX sends from the edge's cache itself: the same to every client, and nothing else."""

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
VARYING = {"Date", "X-Request-ID", "Server-Timing"}
LONG_AGO, TO_COME = "Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.fixture
async def image(catalog: Catalog, blobs: ObjectStore) -> Image:
    return await insert_stored_image(catalog, blobs, pictures.jpeg(1200, 800))


@dataclass(frozen=True, slots=True)
class Side:
    """An nginx that takes files, and the edge behind it."""

    front: NginxSite
    cache: Path
    app: web.Application

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.front.client.request(method, path, headers=named) as answer:
            said = {name: value for name, value in answer.headers.items() if name not in VARYING}
            return answer.status, said, await answer.read()

    def handed(self) -> float:
        """Answers so far whose body NGINX sent."""
        lines = self.app[METRICS].exposition()[0].decode().splitlines()
        named = 'edge_variant_answers_total{layer="handed"} '
        return sum(float(line.removeprefix(named)) for line in lines if line.startswith(named))


@asynccontextmanager
async def side(values: dict[str, Any], folder: Path, *, handing_over: bool) -> AsyncIterator[Side]:
    """An edge behind nginx. Its nginx always asks for files; the edge names them where it is told to."""
    folder.mkdir()
    cache = folder / "edge-cache"
    settings = EdgeSettings(
        **values, edge_cache_dir=cache, edge_x_accel=handing_over, edge_memory_bytes=0, cors_origins=(ORIGIN,)
    )
    app = build(settings)
    runner = web.AppRunner(app)
    async with AsyncExitStack() as held:
        await runner.setup()
        held.push_async_callback(runner.cleanup)
        await web.UnixSite(runner, str(folder / "edge.sock")).start()
        made = nginx_site(folder, edge_x_accel=True, edge_cache_dir=cache, cors_origins=(ORIGIN,))
        yield Side(await held.enter_async_context(made), cache, app)


@pytest.fixture
async def sides(mongo_values: Values, s3_values: Values, tmp_path: Path) -> AsyncIterator[tuple[Side, Side]]:
    """One that hands over, and one that never does."""
    values = {**mongo_values, **s3_values}
    async with (
        side(values, tmp_path / "one", handing_over=True) as handing,
        side(values, tmp_path / "other", handing_over=False) as plain,
    ):
        yield handing, plain


def paths(image: Image) -> list[str]:
    media, thumb = f"/media/{image.content}", f"/api/images/{image.id}/thumb"
    return [f"{media}/320.jpg", f"{media}/768.webp", f"{thumb}?v={image.content}", thumb]


async def warmed(handing: Side, image: Image) -> None:
    """Every path was made, then read and found right: the next answer may be handed over."""
    for path in paths(image):
        for _ in range(3):
            assert (await handing.ask(path, Accept="image/webp"))[0] == 200


QUESTIONS: list[dict[str, str]] = [
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
    {"If_Modified_Since": TO_COME},
    {"If_Unmodified_Since": LONG_AGO},
    {"If_Unmodified_Since": TO_COME},
    {"Accept_Encoding": "gzip, br"},
    {"X_Sendfile_Type": "none"},
]


@over_minio
async def test_every_answer_is_the_same(sides: tuple[Side, Side], image: Image) -> None:
    handing, plain = sides
    await warmed(handing, image)
    for path in paths(image):
        for method in ("GET", "HEAD"):
            for headers in QUESTIONS:
                asked = {"Accept": "image/webp", **headers}
                before = handing.handed()
                answer = await handing.ask(path, method, **asked)
                assert answer == await plain.ask(path, method, **asked), (path, method, headers)
                if not headers or "Range" in headers:
                    assert handing.handed() == before + 1, (path, method, headers)
        _, said, _ = await handing.ask(path, Accept="image/webp")
        status, _, body = await handing.ask(path, Accept="image/webp", If_None_Match=said[hdrs.ETAG])
        assert (status, body) == (304, b"")
    assert plain.handed() == 0


def held(cache: Path, ending: str) -> list[Path]:
    """Files of the cache now. Folders that the edge removes meanwhile are passed over, as `rglob` does not."""
    found = (Path(folder, name) for folder, _, names in os.walk(cache) for name in names)
    return [place for place in found if place.name.endswith(ending)]


@over_minio
async def test_what_is_gone_from_the_cache_is_made_again(sides: tuple[Side, Side], image: Image) -> None:
    handing, _ = sides
    await warmed(handing, image)
    path = paths(image)[1]
    right = await handing.ask(path)
    for ending in (".body", ".block"):
        for place in held(handing.cache, ending):
            place.unlink(missing_ok=True)
        assert await handing.ask(path) == right
    for place in held(handing.cache, ".body"):
        place.write_bytes(bytes(place.stat().st_size))
    assert await handing.ask(path) == right


@over_minio
async def test_the_cache_is_open_to_its_group_alone(sides: tuple[Side, Side], image: Image) -> None:
    handing, plain = sides
    for one in sides:
        assert (await one.ask(paths(image)[0]))[0] == 200

    async def written() -> bool:
        return any(handing.cache.rglob("*.block"))

    await until(written)
    (body,) = handing.cache.rglob("*.body")
    assert body.stat().st_mode & 0o777 == 0o640
    folders = [body.parent, body.parent.parent, handing.cache]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o710}
    assert plain.cache.stat().st_mode & 0o777 == 0o700


@over_minio
async def test_no_client_names_a_file(sides: tuple[Side, Side], image: Image) -> None:
    handing, _ = sides
    await warmed(handing, image)
    (body, *_) = handing.cache.rglob("*.body")
    name = str(body.relative_to(handing.cache))
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
            status = await raw(handing.front, path, headers)
            # What leads elsewhere is passed on to the API, which does not run here.
            assert status in (b"404", b"400", b"503"), (path, status)


async def raw(front: NginxSite, path: str, headers: dict[str, str]) -> bytes:
    """The status for a path just as it is written."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.split(b" ")[1]


async def test_an_edge_that_is_not_itself_can_name_bodies_of_the_cache_alone(tmp_path: Path) -> None:
    """Whatever it names, the client gets what it says when it is asked for bytes."""
    cache, secret = tmp_path / "cache", tmp_path / "secret"
    place = cache / "aa" / "bb"
    place.mkdir(parents=True)
    secret.write_bytes(b"secret")
    name = "aa/bb/" + "c" * 28 + ".body"
    (cache / "cache.db").write_bytes(b"secret")
    (place / ("d" * 28 + ".block")).write_bytes(b"secret")
    (cache / name).symlink_to(secret)
    named = [name, "cache.db", "../secret", "aa/bb/" + "d" * 28 + ".block", "aa/bb/" + "e" * 28 + ".body"]

    async def edge(request: web.Request) -> web.Response:
        if request.headers.get(SENDFILE_TYPE) != X_ACCEL_REDIRECT:
            return web.Response(body=b"bytes")
        return web.Response(headers={X_ACCEL_REDIRECT: CACHE_LOCATION + named[int(request.path[-5])]})

    async with (
        stub_service(edge, tmp_path / "edge.sock"),
        nginx_site(tmp_path, edge_x_accel=True, edge_cache_dir=cache) as front,
    ):
        for number in range(len(named)):
            answer, body = await front.get(f"/media/{'0' * 64}/16{number}.jpg")
            assert b"secret" not in body
            assert (answer.status, body) == (200, b"bytes") or answer.status == 404, named[number]
        # A file that went away between the edge's look and NGINX's costs a second question, no error.
        answer, body = await front.get(f"/media/{'0' * 64}/164.jpg")
        assert (answer.status, body) == (200, b"bytes")
        (place / ("e" * 28 + ".body")).write_bytes(b"file")
        answer, body = await front.get(f"/media/{'0' * 64}/164.jpg")
        assert (answer.status, body) == (200, b"file")


async def test_nginx_asks_for_files_only_where_the_setting_is_on(tmp_path: Path) -> None:
    async def edge(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get(SENDFILE_TYPE, "none"))

    async with stub_service(edge, tmp_path / "edge.sock"), nginx_site(tmp_path) as front:
        for path in (f"/media/{'0' * 64}/160.jpg", f"/media/{'0' * 64}/original", "/media/else"):
            _, body = await front.get(path, headers={SENDFILE_TYPE: X_ACCEL_REDIRECT})
            assert body == b"none"
