"""The same request gets the same answer from the edge and through nginx: formats, ranges, client networks."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict

from edge.app import build
from tagify.catalog import Catalog
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tagify.up.nginx import find_nginx
from tests.conftest import Values
from tests.support import pictures
from tests.support.catalog_fixtures import insert_stored_image
from tests.support.nginx_site import nginx_site, stub_service

PROBLEM = "application/problem+json"
ACCEPTS = (
    "*/*",
    "image/*",
    "image/webp",
    "IMAGE/WEBP",
    "image/avif",
    "image/avif,image/webp,*/*;q=0.8",
    "image/avif;q=0,image/webp",
    "image/avif;q=0.000, image/webp;q=0.001",
    "image/webp;q=0",
    "image/webp; q=0.0",
    "image/webp ;q = 0.5",
    "image/webp;q=0.0001",
    "image/webp;q=abc",
    "image/webp;q=",
    "image/webp;q=1e5",
    "image/webp;q=inf",
    "image/webp;q=-1",
    "image/webp;v=1;q=0",
    "image/webp;v=1;q=0.3;x=2",
    "image/webpx",
    "ximage/webp",
    "text/image/webp",
    'text/plain;x="image/webp"',
    "image/webp+xml",
    ", ,image/webp",
    "image/webp;",
    "text/html;q=0.3,\timage/webp\t;q=0.3",
    "image/webp;q=0,image/webp",
)
SEVERAL_LINES = (
    ("*/*", "image/webp"),
    ("image/webp", "image/avif"),
    ("text/html,image/avif;q=0", "image/webp;q=0", "image/avif;q=0.5"),
    ("image/webp;q=0", ""),
)
JOINING_VERSION = (1, 23)
"""From this version on nginx joins the lines of a header; before it reads the first alone."""

RANGES = (
    "bytes=0-9",
    "bytes=5-",
    "bytes=-5",
    "bytes=0-99999999999999999999999",
    "bytes=5-99999999999999999999999",
    "bytes=-99999999999999999999999",
    "bytes=0-9223372036854775808",
    "bytes=99999999999999999999999-",
    "bytes=99999999-",
    "bytes=-0",
    "bytes=",
    "lines=1-2",
    "bytes=9-5",
    "bytes=9-5,0-1",
    "bytes=0-1,4-5",
    "bytes=0-9,5-20,15-30",
    "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18",
    "bytes=0-1,99999999-",
    "bytes= 0-9",
    "bytes=0-9 ",
    "bytes=0 - 9",
    "bytes =0-9",
    "BYTES=0-9",
    "bytes=-",
    "bytes=+1-9",
    "bytes=1-9a",
    "bytes=0x1-9",
    "bytes=,0-9",
    "bytes=0-9,",
    "bytes=0-9;5-6",
)
IGNORED_RANGES = ("bytes=", "lines=1-2", "bytes=-", "bytes=1-9a", "bytes=0-9;5-6")


@dataclass(frozen=True, slots=True)
class Endpoints:
    session: aiohttp.ClientSession
    edge: str
    site: str

    async def answers(self, path: str, headers: LooseHeaders) -> list[tuple[Any, ...]]:
        """Status, type, range and body of the edge's answer and of nginx's, first and repeated."""
        collected: list[tuple[Any, ...]] = []
        for base in (self.edge, self.site, self.site):
            async with self.session.get(base + path, headers=headers) as response:
                body = await response.read()
                is_problem = response.content_type == PROBLEM
                if boundary := re.search(r"boundary=(\S+)", response.headers["Content-Type"]):
                    body = body.replace(boundary[1].encode(), b"boundary")
                collected.append(
                    (
                        response.status,
                        response.content_type,
                        response.headers.get("Content-Range"),
                        b"" if is_problem else body,
                    )
                )
        return collected


@asynccontextmanager
async def run_endpoints(values: Values, folder: Path, **settings: Any) -> AsyncIterator[Endpoints]:
    runner = web.AppRunner(build(EdgeSettings(**values, **settings, edge_cache_dir=folder / "edge-cache")))
    await runner.setup()
    try:
        await web.UnixSite(runner, str(folder / "edge.sock")).start()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[-1][1]}"
        async with nginx_site(folder) as site, aiohttp.ClientSession() as session:
            yield Endpoints(session, url, f"http://127.0.0.1:{site.port}")
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_formats_and_ranges_are_equal_directly_and_through_nginx(
    catalog: Catalog, blobs: ObjectStore, mongo_values: Values, s3_values: Values, tmp_path: Path
) -> None:
    image = await insert_stored_image(catalog, blobs, pictures.jpeg(300, 200))
    thumb, original = f"/api/images/{image.id}/thumb?v={image.content}", f"/media/{image.content}/original"
    for number, formats in enumerate((("webp",), ("avif", "webp"), ("avif",))):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with run_endpoints(
            {**mongo_values, **s3_values}, folder, edge_thumb_formats=formats
        ) as endpoints:
            for accept in ACCEPTS:
                direct, *through = await endpoints.answers(thumb, {"Accept": accept})
                assert direct[0] == 200
                assert through == [direct, direct], (formats, accept)
            if number:
                continue
            for span in RANGES:
                direct, *through = await endpoints.answers(original, {"Range": span})
                assert through == [direct, direct], span
                if span.startswith(("bytes=9", "bytes=-0")):
                    assert direct[:2] == (416, PROBLEM)
                elif span in IGNORED_RANGES:
                    assert direct[0] == 200, span
                elif "9" * 23 in span or span in RANGES[:3]:
                    assert direct[0] == 206


@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_accept_in_several_lines_is_one_list_and_poisons_no_cache(
    catalog: Catalog, blobs: ObjectStore, mongo_values: Values, s3_values: Values, tmp_path: Path
) -> None:
    """At the edge, and at an nginx that joins the lines; an older one takes the first as the whole."""
    image = await insert_stored_image(catalog, blobs, pictures.jpeg(300, 200))
    thumb = f"/api/images/{image.id}/thumb?v={image.content}"
    joins = await nginx_version() >= JOINING_VERSION
    async with run_endpoints(
        {**mongo_values, **s3_values}, tmp_path, edge_thumb_formats=("avif", "webp")
    ) as endpoints:
        for lines in SEVERAL_LINES:
            separate = CIMultiDict([("Accept", line) for line in lines])
            joined, first = {"Accept": ", ".join(lines)}, {"Accept": lines[0]}
            direct, *through = await endpoints.answers(thumb, separate)
            assert direct == (await endpoints.answers(thumb, joined))[0]
            expected = (await endpoints.answers(thumb, joined if joins else first))[0]
            assert through == [expected, expected], lines
        for accept in ("*/*", "image/webp", "image/avif", "image/avif,image/webp"):
            direct, *through = await endpoints.answers(thumb, {"Accept": accept})
            assert through == [direct, direct], accept


async def nginx_version() -> tuple[int, ...]:
    binary = find_nginx()
    assert binary is not None
    process = await asyncio.create_subprocess_exec(binary, "-v", stderr=asyncio.subprocess.PIPE)
    _, text = await process.communicate()
    match = re.search(rb"nginx/(\d+)\.(\d+)", text)
    assert match is not None
    return int(match[1]), int(match[2])


async def test_a_client_is_an_ipv6_network_in_any_spelling_and_an_ipv4_address(tmp_path: Path) -> None:
    async def plain(_: web.Request) -> web.Response:
        return web.json_response({})

    async with (
        stub_service(plain, tmp_path / "api.sock"),
        nginx_site(tmp_path, nginx_requests_per_s=1, nginx_trusted_proxies=("127.0.0.1",)) as site,
    ):

        async def statuses(network: str) -> set[int]:
            first = int(ip_address(network))
            clients = [str(ip_address(first + number * 0x1_0001)) for number in range(1, 30)]
            return {
                (await site.get("/api/tags", headers={"X-Forwarded-For": client}))[0].status
                for client in clients
            }

        for network in ("2001:db8::", "2001:db8:1::", "2001:db8:0:1::", "2001:db8:1:2::"):
            assert 429 in await statuses(network), network
            await asyncio.sleep(0)
        assert await statuses("10.0.0.0") == {200}
