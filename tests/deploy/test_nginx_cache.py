"""NGINX's cache: keys, singleflight, staleness, slices and purges, counted at a stub edge."""

import asyncio
import os
import random
import re
from pathlib import Path

import pytest
from aiohttp import web

from tagify.deploy.nginx.access_log import cache_metrics
from tagify.deploy.nginx.cache_purge import MODULE
from tests.support.nginx_site import nginx_site, stub_service
from tests.support.servers import skip_or_fail
from tests.support.waiting import until

CONTENT = "ab" * 32
OTHER = "cd" * 32
IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
MIB = 1 << 20


async def echo_path(request: web.Request) -> web.Response:
    """The path as the body, so that a response shows which URL it was cached for."""
    await asyncio.sleep(0.05)
    return web.Response(body=request.path.encode(), headers={**IMMUTABLE, "ETag": f'"{request.path}"'})


async def test_fifty_concurrent_misses_make_one_request(tmp_path: Path) -> None:
    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(echo_path, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as site:
        responses = await asyncio.gather(*(site.get(path) for _ in range(50)))
        assert {body for _, body in responses} == {path.encode()}
        assert edge.request_counts == {path: 1}
        response, _ = await site.get(path)
        assert response.headers["X-Cache"] == "HIT"
        assert edge.request_counts == {path: 1}


async def test_hits_and_misses_are_counted_by_zone_from_the_access_log(tmp_path: Path) -> None:
    urls = (f"/media/{CONTENT}/320.webp", f"/api/images/{'0' * 24}/thumb?v={CONTENT}", "/")
    async with (
        stub_service(echo_path, tmp_path / "edge.sock"),
        stub_service(echo_path, tmp_path / "api.sock"),
        nginx_site(tmp_path) as site,
    ):
        for url in (*urls, *urls[:2], "/api/tags"):
            await site.get(url)
        log = site.folder / "access.log"

        async def written() -> bool:
            return len(log.read_text().splitlines()) == 6

        await until(written)
    counters = re.findall(r"^(tagify_nginx_cache_responses_total.*)$", cache_metrics(log), re.MULTILINE)
    name = "tagify_nginx_cache_responses_total"
    assert sorted(counters) == [
        f'{name}{{cache="hit",zone="media"}} 2',
        f'{name}{{cache="miss",zone="media"}} 2',
        f'{name}{{cache="miss",zone="page"}} 1',
    ]


async def test_cache_keys_separate_contents_widths_and_formats(tmp_path: Path) -> None:
    paths = [
        f"/media/{content}/{width}.{extension}"
        for content in (CONTENT, OTHER)
        for width in (32, 320, 3200)
        for extension in ("jpg", "webp", "avif")
    ]
    async with stub_service(echo_path, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as site:
        for _ in range(2):
            random.shuffle(paths)
            for path in paths:
                _, body = await site.get(path, headers={"Accept": random.choice(["image/avif", "*/*"])})
                assert body == path.encode()
        assert edge.request_counts == dict.fromkeys(paths, 1)


async def test_query_and_cookies_are_not_in_the_cache_key(tmp_path: Path) -> None:
    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(echo_path, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as site:
        for number in range(5):
            await site.get(f"{path}?x={number}", headers={"Cookie": f"n={number}"})
        assert edge.request_counts == {path: 1}
        assert "cookie" not in edge.request_headers[0]


async def test_thumbs_by_id_are_cached_by_content_and_normalized_accept(tmp_path: Path) -> None:
    async def thumb(request: web.Request) -> web.Response:
        kind = "webp" if "image/webp" in request.headers.get("Accept", "") else "jpg"
        headers = dict(IMMUTABLE) if request.query.get("v") == CONTENT else {"Cache-Control": "no-cache"}
        headers |= {"Vary": "Accept", "ETag": f'"{kind}"'}
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=kind.encode(), headers=headers)

    path = "/api/images/65f000000000000000000001/thumb"
    browsers = (
        "image/avif,image/webp,*/*;q=0.8",
        "image/webp, */*",
        "*/*",
        "image/webp;q=0, */*",
        "text/html",
    )
    kinds = ("webp", "webp", "jpg", "jpg", "jpg")
    async with stub_service(thumb, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as site:
        for _ in range(2):
            for accept, kind in zip(browsers, kinds, strict=True):
                _, body = await site.get(f"{path}?v={CONTENT}", headers={"Accept": accept})
                assert body == kind.encode()
        # Three normalized Accept values, whatever the spelling: avif and webp, webp, neither.
        assert edge.request_counts[f"{path}?v={CONTENT}"] == 3
        for _ in range(2):
            response, _ = await site.get(path, headers={"If-None-Match": '"jpg"', "Accept": "*/*"})
            assert response.status == 304
        assert edge.request_counts[path] == 2
        await site.get(f"{path}?v={OTHER}")
        await site.get(f"{path}?v={OTHER}")
        assert edge.request_counts[f"{path}?v={OTHER}"] == 2


@pytest.mark.parametrize("fault", ["dead", "silent", "500", "503"])
async def test_stale_response_is_served_while_the_edge_fails(tmp_path: Path, fault: str) -> None:
    faulty = asyncio.Event()

    async def short(request: web.Request) -> web.Response:
        if faulty.is_set():
            if fault == "silent":
                await asyncio.sleep(30)
            return web.Response(status=int(fault) if fault.isdigit() else 504)
        return web.Response(body=request.path.encode(), headers={"Cache-Control": "public, max-age=1"})

    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(short, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as site:
        await site.get(path)
        faulty.set()
        if fault == "dead":
            await edge.stop()

        async def is_stale() -> bool:
            async with asyncio.timeout(10):
                # nginx reads no further request on a connection whose request started a background update.
                response, body = await site.get(path, headers={"Connection": "close"})
            assert (response.status, body) == (200, path.encode())
            return response.headers["X-Cache"] in ("STALE", "UPDATING")

        for _ in range(5):
            await until(is_stale)
        if fault == "dead":
            response, body = await site.get(f"/media/{OTHER}/320.webp")
            assert response.status == 503
            assert response.content_type == "application/problem+json"
            assert b"urn:tagify:problem:unavailable" in body
            assert response.headers["Retry-After"] == "2"


async def test_stale_response_is_revalidated_by_etag(tmp_path: Path) -> None:
    async def short(request: web.Request) -> web.Response:
        headers = {"Cache-Control": "public, max-age=1", "ETag": '"one"'}
        if request.headers.get("If-None-Match") == '"one"':
            return web.Response(status=304, headers=headers)
        return web.Response(body=b"x" * 1000, headers=headers)

    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(short, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as site:

        async def is_revalidated() -> bool:
            assert len((await site.get(path))[1]) == 1000
            return edge.request_counts[path] >= 2

        await until(is_revalidated, every_s=0.2)
        assert edge.bytes_sent == 1000


@pytest.mark.parametrize(("status", "caching"), [(404, "no-store"), (404, "max-age=60"), (422, "max-age=60")])
async def test_errors_are_not_cached(tmp_path: Path, status: int, caching: str) -> None:
    async def failing(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Cache-Control": caching})

    paths = (f"/media/{CONTENT}/320.webp", f"/media/{CONTENT}/original")
    async with stub_service(failing, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as site:
        for path in paths:
            for _ in range(3):
                assert (await site.get(path))[0].status == status
            assert edge.request_counts[path] == 3


async def test_head_requests_are_served_from_the_cache(tmp_path: Path) -> None:
    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(echo_path, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as site:
        for method in ("HEAD", "GET", "HEAD"):
            async with site.client.request(method, path) as response:
                assert response.status == 200
                assert response.headers["Content-Length"] == str(len(path))
                assert await response.read() == (b"" if method == "HEAD" else path.encode())
        assert edge.request_counts == {path: 1}


async def test_allowed_origins_have_separate_entries_and_others_share_one(tmp_path: Path) -> None:
    allowed = "https://photos.example.org"

    async def allowing(request: web.Request) -> web.Response:
        origin = request.headers.get("Origin", "")
        extra = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {}
        return web.Response(body=b"x", headers={**IMMUTABLE, **extra})

    path = f"/media/{CONTENT}/320.webp"
    async with (
        stub_service(allowing, tmp_path / "edge.sock") as edge,
        nginx_site(tmp_path, cors_origins=(allowed,)) as site,
    ):
        for _ in range(2):
            assert "Access-Control-Allow-Origin" not in (await site.get(path))[0].headers
            response, _ = await site.get(path, headers={"Origin": allowed})
            assert response.headers["Access-Control-Allow-Origin"] == allowed
            response, _ = await site.get(path, headers={"Origin": "https://other.example"})
            assert "Access-Control-Allow-Origin" not in response.headers
        assert edge.request_counts[path] == 2


async def range_response(data: bytes, request: web.Request) -> web.Response:
    headers = {**IMMUTABLE, "ETag": f'"{CONTENT}"', "Accept-Ranges": "bytes"}
    match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
    if not match:
        return web.Response(body=data, headers=headers)
    first, last = int(match[1]), min(int(match[2]), len(data) - 1)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return web.Response(status=206, body=data[first : last + 1], headers=headers)


async def test_ranges_of_an_original_fetch_each_slice_once(tmp_path: Path) -> None:
    data = os.urandom(10 * MIB + 12_345)
    path = f"/media/{CONTENT}/original"
    rng = random.Random(7)
    async with (
        stub_service(lambda request: range_response(data, request), tmp_path / "edge.sock") as edge,
        nginx_site(tmp_path) as site,
    ):
        slice_numbers: set[int] = set()
        for _ in range(40):
            first = rng.randrange(len(data))
            last = min(len(data) - 1, first + rng.choice([0, 10, 70_000, MIB + 5]))
            response, body = await site.get(path, headers={"Range": f"bytes={first}-{last}"})
            assert response.status == 206
            assert response.headers["Content-Range"] == f"bytes {first}-{last}/{len(data)}"
            assert body == data[first : last + 1]
            slice_numbers |= set(range(first // MIB, last // MIB + 1))
        slices = {index: min(MIB, len(data) - index * MIB) for index in slice_numbers}
        assert edge.request_counts[path] == len(slices)
        assert edge.bytes_sent == sum(slices.values())
        async with site.client.head(path) as head:
            assert head.headers["Content-Length"] == str(len(data))
        response, body = await site.get(path)
        assert body == data
        assert edge.bytes_sent == len(data)
        assert edge.request_counts[path] == 11
        response, body = await site.get(path, headers={"Range": f"bytes={len(data)}-"})
        assert response.status == 416
        response, _ = await site.get(path, headers={"If-None-Match": f'"{CONTENT}"'})
        assert response.status == 304


async def test_cache_survives_a_restart(tmp_path: Path) -> None:
    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(echo_path, tmp_path / "edge.sock") as edge:
        async with nginx_site(tmp_path) as site:
            await site.get(path)
        await edge.stop()
        async with nginx_site(tmp_path) as site:
            response, body = await site.get(path)
            assert (response.status, body, response.headers["X-Cache"]) == (200, path.encode(), "HIT")


async def test_purge_removes_one_response_by_its_key(tmp_path: Path) -> None:
    if not MODULE.exists():
        skip_or_fail("nginx's purge module", "sudo apt-get install libnginx-mod-http-cache-purge")
    purged, untouched = f"/media/{CONTENT}/320.webp", f"/media/{CONTENT}/320.jpg"
    async with stub_service(echo_path, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as site:
        for path in (purged, untouched):
            await site.get(path)
        assert (await site.get(f"/purge{purged}"))[0].status in (404, 503)
        internal = f"http://127.0.0.1:{site.internal_port}"
        async with site.client.get(f"{internal}/purge{purged}") as response:
            assert response.status == 200
        for path in (purged, untouched):
            await site.get(path)
        assert edge.request_counts[purged] == 2
        assert edge.request_counts[untouched] == 1


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_unsafe_methods_are_not_served_from_the_cache(tmp_path: Path, method: str) -> None:
    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(echo_path, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as site:
        await site.get(path)
        async with site.client.request(method, path):
            pass
        assert edge.request_counts[path] == 2
