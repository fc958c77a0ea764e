"""What NGINX keeps and how: counted at a stand-in for the edge, behind our own configuration."""

import asyncio
import os
import random
import re
from pathlib import Path

import pytest
from aiohttp import web

from tagify.deploy.nginx.cache_purge import MODULE
from tests.support.nginx_site import nginx_site, stub_service
from tests.support.servers import skip_or_fail
from tests.support.waiting import until

CONTENT = "ab" * 32
OTHER = "cd" * 32
IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
MIB = 1 << 20


async def named(request: web.Request) -> web.Response:
    """The path as the body: what was asked for can be told from the answer."""
    await asyncio.sleep(0.05)
    return web.Response(body=request.path.encode(), headers={**IMMUTABLE, "ETag": f'"{request.path}"'})


async def test_fifty_misses_at_once_make_one_request(tmp_path: Path) -> None:
    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(named, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as front:
        answers = await asyncio.gather(*(front.get(path) for _ in range(50)))
        assert {body for _, body in answers} == {path.encode()}
        assert edge.request_counts == {path: 1}
        answer, _ = await front.get(path)
        assert answer.headers["X-Cache"] == "HIT"
        assert edge.request_counts == {path: 1}


async def test_a_key_never_mixes_contents_widths_or_formats(tmp_path: Path) -> None:
    paths = [
        f"/media/{content}/{width}.{ending}"
        for content in (CONTENT, OTHER)
        for width in (32, 320, 3200)
        for ending in ("jpg", "webp", "avif")
    ]
    async with stub_service(named, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as front:
        for _ in range(2):
            random.shuffle(paths)
            for path in paths:
                _, body = await front.get(path, headers={"Accept": random.choice(["image/avif", "*/*"])})
                assert body == path.encode()
        assert edge.request_counts == dict.fromkeys(paths, 1)


async def test_what_is_asked_besides_does_not_fill_the_cache(tmp_path: Path) -> None:
    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(named, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as front:
        for number in range(5):
            await front.get(f"{path}?x={number}", headers={"Cookie": f"n={number}"})
        assert edge.request_counts == {path: 1}
        assert "cookie" not in edge.request_headers[0]


async def test_thumbs_by_id_are_kept_by_content_and_by_what_the_client_takes(tmp_path: Path) -> None:
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
    async with stub_service(thumb, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as front:
        for _ in range(2):
            for accept, kind in zip(browsers, kinds, strict=True):
                _, body = await front.get(f"{path}?v={CONTENT}", headers={"Accept": accept})
                assert body == kind.encode()
        # Three ways to take pictures, however they are spelt: avif too, webp, neither.
        assert edge.request_counts[f"{path}?v={CONTENT}"] == 3
        for _ in range(2):
            answer, _ = await front.get(path, headers={"If-None-Match": '"jpg"', "Accept": "*/*"})
            assert answer.status == 304
        assert edge.request_counts[path] == 2
        await front.get(f"{path}?v={OTHER}")
        await front.get(f"{path}?v={OTHER}")
        assert edge.request_counts[f"{path}?v={OTHER}"] == 2


@pytest.mark.parametrize("fault", ["dead", "silent", "500", "503"])
async def test_stale_is_served_while_the_edge_cannot_answer(tmp_path: Path, fault: str) -> None:
    faulty = asyncio.Event()

    async def short(request: web.Request) -> web.Response:
        if faulty.is_set():
            if fault == "silent":
                await asyncio.sleep(30)
            return web.Response(status=int(fault) if fault.isdigit() else 504)
        return web.Response(body=request.path.encode(), headers={"Cache-Control": "public, max-age=1"})

    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(short, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as front:
        await front.get(path)
        faulty.set()
        if fault == "dead":
            await edge.stop()

        async def is_stale() -> bool:
            async with asyncio.timeout(10):
                # nginx takes no further request on a connection while the update goes on that one began.
                answer, body = await front.get(path, headers={"Connection": "close"})
            assert (answer.status, body) == (200, path.encode())
            return answer.headers["X-Cache"] in ("STALE", "UPDATING")

        for _ in range(5):
            await until(is_stale)
        if fault == "dead":
            answer, body = await front.get(f"/media/{OTHER}/320.webp")
            assert answer.status == 503
            assert answer.content_type == "application/problem+json"
            assert b"urn:tagify:problem:unavailable" in body
            assert answer.headers["Retry-After"] == "2"


async def test_an_answer_that_is_old_is_asked_about_and_not_fetched_again(tmp_path: Path) -> None:
    async def short(request: web.Request) -> web.Response:
        headers = {"Cache-Control": "public, max-age=1", "ETag": '"one"'}
        if request.headers.get("If-None-Match") == '"one"':
            return web.Response(status=304, headers=headers)
        return web.Response(body=b"x" * 1000, headers=headers)

    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(short, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as front:

        async def asked_twice() -> bool:
            assert len((await front.get(path))[1]) == 1000
            return edge.request_counts[path] >= 2

        await until(asked_twice, every_s=0.2)
        assert edge.bytes_sent == 1000


@pytest.mark.parametrize(("status", "caching"), [(404, "no-store"), (404, "max-age=60"), (422, "max-age=60")])
async def test_errors_are_not_kept(tmp_path: Path, status: int, caching: str) -> None:
    async def failing(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Cache-Control": caching})

    paths = (f"/media/{CONTENT}/320.webp", f"/media/{CONTENT}/original")
    async with stub_service(failing, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as front:
        for path in paths:
            for _ in range(3):
                assert (await front.get(path))[0].status == status
            assert edge.request_counts[path] == 3


async def test_a_question_about_a_variant_is_answered_from_the_cache_too(tmp_path: Path) -> None:
    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(named, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as front:
        for method in ("HEAD", "GET", "HEAD"):
            async with front.client.request(method, path) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Length"] == str(len(path))
                assert await answer.read() == (b"" if method == "HEAD" else path.encode())
        assert edge.request_counts == {path: 1}


async def test_cross_origin_answers_are_kept_apart_and_strangers_share_one(tmp_path: Path) -> None:
    ours = "https://photos.example.org"

    async def allowing(request: web.Request) -> web.Response:
        origin = request.headers.get("Origin", "")
        extra = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {}
        return web.Response(body=b"x", headers={**IMMUTABLE, **extra})

    path = f"/media/{CONTENT}/320.webp"
    async with (
        stub_service(allowing, tmp_path / "edge.sock") as edge,
        nginx_site(tmp_path, cors_origins=(ours,)) as front,
    ):
        for _ in range(2):
            assert "Access-Control-Allow-Origin" not in (await front.get(path))[0].headers
            answer, _ = await front.get(path, headers={"Origin": ours})
            assert answer.headers["Access-Control-Allow-Origin"] == ours
            answer, _ = await front.get(path, headers={"Origin": "https://stranger.example"})
            assert "Access-Control-Allow-Origin" not in answer.headers
        assert edge.request_counts[path] == 2


async def ranged(data: bytes, request: web.Request) -> web.Response:
    headers = {**IMMUTABLE, "ETag": f'"{CONTENT}"', "Accept-Ranges": "bytes"}
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
    if not found:
        return web.Response(body=data, headers=headers)
    first, last = int(found[1]), min(int(found[2]), len(data) - 1)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return web.Response(status=206, body=data[first : last + 1], headers=headers)


async def test_ranges_of_an_original_fetch_its_slices_once_and_nothing_else(tmp_path: Path) -> None:
    data = os.urandom(10 * MIB + 12_345)
    path = f"/media/{CONTENT}/original"
    chance = random.Random(7)
    async with (
        stub_service(lambda request: ranged(data, request), tmp_path / "edge.sock") as edge,
        nginx_site(tmp_path) as front,
    ):
        seen: set[int] = set()
        for _ in range(40):
            first = chance.randrange(len(data))
            last = min(len(data) - 1, first + chance.choice([0, 10, 70_000, MIB + 5]))
            answer, body = await front.get(path, headers={"Range": f"bytes={first}-{last}"})
            assert answer.status == 206
            assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(data)}"
            assert body == data[first : last + 1]
            seen |= set(range(first // MIB, last // MIB + 1))
        slices = {index: min(MIB, len(data) - index * MIB) for index in seen}
        assert edge.request_counts[path] == len(slices)
        assert edge.bytes_sent == sum(slices.values())
        async with front.client.head(path) as head:
            assert head.headers["Content-Length"] == str(len(data))
        answer, body = await front.get(path)
        assert body == data
        assert edge.bytes_sent == len(data)
        assert edge.request_counts[path] == 11
        answer, body = await front.get(path, headers={"Range": f"bytes={len(data)}-"})
        assert answer.status == 416
        answer, _ = await front.get(path, headers={"If-None-Match": f'"{CONTENT}"'})
        assert answer.status == 304


async def test_what_was_kept_outlives_every_restart(tmp_path: Path) -> None:
    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(named, tmp_path / "edge.sock") as edge:
        async with nginx_site(tmp_path) as front:
            await front.get(path)
        await edge.stop()
        async with nginx_site(tmp_path) as front:
            answer, body = await front.get(path)
            assert (answer.status, body, answer.headers["X-Cache"]) == (200, path.encode(), "HIT")


async def test_one_answer_is_purged_by_its_exact_key(tmp_path: Path) -> None:
    if not MODULE.exists():
        skip_or_fail("nginx's purge module", "sudo apt-get install libnginx-mod-http-cache-purge")
    gone, kept = f"/media/{CONTENT}/320.webp", f"/media/{CONTENT}/320.jpg"
    async with stub_service(named, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as front:
        for path in (gone, kept):
            await front.get(path)
        assert (await front.get(f"/purge{gone}"))[0].status in (404, 503)
        inside = f"http://127.0.0.1:{front.internal_port}"
        async with front.client.get(f"{inside}/purge{gone}") as answer:
            assert answer.status == 200
        for path in (gone, kept):
            await front.get(path)
        assert edge.request_counts[gone] == 2
        assert edge.request_counts[kept] == 1


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_only_questions_are_answered_from_the_cache(tmp_path: Path, method: str) -> None:
    path = f"/media/{CONTENT}/320.webp"
    async with stub_service(named, tmp_path / "edge.sock") as edge, nginx_site(tmp_path) as front:
        await front.get(path)
        async with front.client.request(method, path):
            pass
        assert edge.request_counts[path] == 2
