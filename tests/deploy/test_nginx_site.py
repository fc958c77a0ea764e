"""What NGINX lets through, adds, bounds and hides: our configuration before stand-ins for both services."""

import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import api.static_pages
from edge.http.headers import SECURITY_HEADERS
from tagify.settings import NginxSettings
from tests.support.nginx_site import NGINX_BINARY, NginxSite, nginx_site, stub_service
from tests.support.waiting import until

PROBLEM = "application/problem+json"


async def plain(request: web.Request) -> web.Response:
    await request.read()
    return web.json_response({"path": request.path, "filler": "x" * 2000})


async def test_what_is_internal_stays_inside(tmp_path: Path) -> None:
    async with stub_service(plain, tmp_path / "api.sock") as inner, nginx_site(tmp_path) as front:
        for path in (
            "/metrics",
            "/readyz",
            "/livez",
            "//metrics",
            "/./readyz",
            "/%6detrics",
            "/x/../metrics",
        ):
            assert b" 404 " in await _raw(front, path), path
        assert not inner.request_counts
        for path in ("/api/1/metrics", "/api/1/readyz"):
            async with front.client.get(f"http://127.0.0.1:{front.internal_port}{path}") as answer:
                assert answer.status == 200
        assert inner.request_counts == {"/metrics": 1, "/readyz": 1}


async def _raw(front: NginxSite, path: str) -> bytes:
    """The status line for a path just as it is written."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.partition(b"\r\n")[0]


async def test_headers_that_protect_are_on_every_answer_and_not_doubled(tmp_path: Path) -> None:
    policy = api.static_pages.content_security_policy("")

    async def page(_: web.Request) -> web.Response:
        return web.Response(
            body=b"<p>", headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}
        )

    async def safe(request: web.Request) -> web.Response:
        return web.Response(body=b"x", headers=SECURITY_HEADERS if request.path.endswith("webp") else {})

    async with (
        stub_service(page, tmp_path / "api.sock"),
        stub_service(safe, tmp_path / "edge.sock"),
        nginx_site(tmp_path) as front,
    ):
        answer, _ = await front.get("/")
        assert answer.headers.getall("Content-Security-Policy") == [policy]
        assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]
        variant = f"/media/{'ab' * 32}/320.webp"
        policies = dict.fromkeys(("/media/x", "/metrics"), "default-src 'none'; frame-ancestors 'none'")
        for path, told in {**policies, variant: SECURITY_HEADERS["Content-Security-Policy"]}.items():
            answer, _ = await front.get(path)
            assert answer.headers.getall("Content-Security-Policy") == [told]
            assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Server"] == "nginx"
            assert "Strict-Transport-Security" not in answer.headers


async def test_a_client_that_asks_too_much_is_told_and_others_are_not(tmp_path: Path) -> None:
    async with (
        stub_service(plain, tmp_path / "api.sock"),
        nginx_site(tmp_path, nginx_requests_per_s=5, nginx_trusted_proxies=("127.0.0.1",)) as front,
    ):

        async def status(client: str) -> tuple[int, str]:
            answer, _ = await front.get("/api/tags", headers={"X-Forwarded-For": client})
            return answer.status, answer.content_type

        answers = await asyncio.gather(*(status("192.0.2.1") for _ in range(40)))
        assert {code for code, _ in answers} == {200, 429}
        assert (429, PROBLEM) in answers
        assert await status("192.0.2.2") == (200, "application/json")
        # One of a provider's IPv6 networks is one client.
        answers = await asyncio.gather(*(status(f"2001:db8:1:2::{n}") for n in range(1, 40)))
        assert 429 in {code for code, _ in answers}


async def test_streams_of_events_are_bounded_and_come_at_once(tmp_path: Path) -> None:
    async def events(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"data: 1\n\n")
        await asyncio.sleep(30)
        return stream

    async with (
        stub_service(events, tmp_path / "api.sock"),
        nginx_site(tmp_path, nginx_streams_per_client=3) as front,
    ):
        streams = [await front.client.get("/api/events") for _ in range(3)]
        for stream in streams:
            assert await asyncio.wait_for(stream.content.readany(), 10) == b"data: 1\n\n"
        answer, _ = await front.get("/api/events")
        assert answer.status == 429
        for stream in streams:
            stream.close()


async def test_bodies_are_bounded_and_errors_are_problems(tmp_path: Path) -> None:
    async with stub_service(plain, tmp_path / "api.sock") as inner, nginx_site(tmp_path) as front:
        async with front.client.post("/api/images/tags", data=io.BytesIO(bytes(3 << 20))) as answer:
            assert (answer.status, answer.content_type) == (413, PROBLEM)
        assert not inner.request_counts
        await inner.stop()
        answer, body = await front.get("/api/tags")
        assert (answer.status, answer.content_type) == (503, PROBLEM)
        assert json.loads(body)["type"] == "urn:tagify:problem:unavailable"


async def test_text_is_compressed_and_pictures_are_not(tmp_path: Path) -> None:
    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 5000, content_type="image/webp")

    wish = {"Accept-Encoding": "gzip"}
    async with (
        stub_service(plain, tmp_path / "api.sock"),
        stub_service(picture, tmp_path / "edge.sock"),
        nginx_site(tmp_path) as front,
    ):
        answer, body = await front.get("/api/tags", headers=wish)
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(body) < 500
        answer, _ = await front.get(f"/media/{'ab' * 32}/320.webp", headers=wish)
        assert "Content-Encoding" not in answer.headers


async def test_a_request_has_one_id_from_client_to_log(tmp_path: Path) -> None:
    async with stub_service(plain, tmp_path / "api.sock") as inner, nginx_site(tmp_path) as front:
        answer, _ = await front.get('/api/tags?prefix=%22"', headers={"X-Request-ID": "from-outside-1"})
        assert answer.headers.getall("X-Request-ID") == ["from-outside-1"]
        assert inner.request_headers[0]["x-request-id"] == "from-outside-1"
        answer, _ = await front.get("/api/tags", headers={"X-Request-ID": "no id\t!"})
        made = answer.headers["X-Request-ID"]
        assert len(made) == 32
        assert inner.request_headers[1]["x-request-id"] == made
        lines = await _logged(front, 2)
        assert [line["request_id"] for line in lines] == ["from-outside-1", made]
        assert lines[0]["status"] == 200
        assert lines[0]["upstream_s"]
        assert {"cache", "upstream_connect_s", "upstream_header_s", "upstream_status"} <= lines[0].keys()
        assert lines[0]["uri"].startswith("/api/tags?prefix=")


async def _logged(front: NginxSite, number: int) -> list[dict[str, Any]]:
    log = front.folder / "access.log"

    async def written() -> bool:
        return len(log.read_text().splitlines()) >= number

    await until(written)
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_client_is_whom_a_trusted_proxy_names_and_nobody_else(tmp_path: Path, trusted: bool) -> None:
    proxies = ("127.0.0.0/8", "10.0.0.0/8") if trusted else ("10.0.0.0/8",)
    async with (
        stub_service(plain, tmp_path / "api.sock") as inner,
        nginx_site(tmp_path, nginx_trusted_proxies=proxies) as front,
    ):
        await front.get("/api/tags", headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.7, 10.0.0.1"})
        assert inner.request_headers[0]["x-forwarded-for"] == ("192.0.2.7" if trusted else "127.0.0.1")
        assert (await _logged(front, 1))[0]["client"] == ("192.0.2.7" if trusted else "127.0.0.1")


async def test_connections_to_the_services_are_kept(tmp_path: Path) -> None:
    seen: set[int] = set()

    async def noting(request: web.Request) -> web.Response:
        seen.add(id(request.transport))
        return await plain(request)

    async with (
        stub_service(noting, tmp_path / "api.sock"),
        stub_service(noting, tmp_path / "edge.sock"),
        nginx_site(tmp_path) as front,
    ):
        for path in ("/api/tags", "/media/x"):
            seen.clear()
            for _ in range(30):
                assert (await front.get(path))[0].status == 200
            # One for each of nginx's workers at most.
            assert len(seen) <= (os.cpu_count() or 1)


async def test_an_answer_that_a_client_has_is_not_sent_again(tmp_path: Path) -> None:
    async def tagged(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match", "").removeprefix("W/") == '"1"':
            return web.Response(status=304, headers={"ETag": '"1"'})
        answer = await plain(request)
        answer.headers["ETag"] = '"1"'
        return answer

    wish = {"Accept-Encoding": "gzip"}
    async with stub_service(tagged, tmp_path / "api.sock") as inner, nginx_site(tmp_path) as front:
        answer, _ = await front.get("/api/tags", headers=wish)
        tag = answer.headers["ETag"]
        answer, body = await front.get("/api/tags", headers={**wish, "If-None-Match": tag})
        assert (answer.status, body) == (304, b"")
        assert inner.request_counts["/api/tags"] == 2


async def test_a_dead_instance_is_unnoticed(tmp_path: Path) -> None:
    places = tuple(f"unix:{tmp_path}/{name}.sock" for name in ("one", "two"))
    async with (
        stub_service(plain, tmp_path / "one.sock") as one,
        stub_service(plain, tmp_path / "two.sock") as two,
        nginx_site(tmp_path, nginx_api=places, nginx_edge=places) as front,
    ):
        paths = [f"/api/tags?{n}" for n in range(20)] + [f"/media/{n}" for n in range(20)]
        for dead, name in ((one, "one"), (two, "two")):
            await dead.stop()
            answers = await asyncio.gather(*(front.get(path) for path in paths))
            assert {answer.status for answer, _ in answers} == {200}
            async with front.client.post("/api/tags/apply/x", json=["a"]) as answer:
                assert answer.status == 200
            await dead.start(tmp_path / f"{name}.sock")


async def test_the_page_is_there_while_the_api_is_away(tmp_path: Path) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(body=b"<p>", headers={"Cache-Control": "no-cache", "ETag": '"1"'})

    async with stub_service(page, tmp_path / "api.sock") as inner, nginx_site(tmp_path) as front:
        await front.get("/")
        await inner.stop()
        answer, body = await front.get("/")
        assert (answer.status, body, answer.headers["Cache-Control"]) == (200, b"<p>", "no-cache")
        answer, _ = await front.get("/", headers={"If-None-Match": '"1"'})
        assert answer.status == 304


FORMS: list[dict[str, Any]] = [
    {},
    {"cors_origins": ("*",), "nginx_access_log": ""},
    {"nginx_trusted_proxies": ("10.0.0.0/8", "2001:db8::/32"), "nginx_internal_port": 0},
    {
        "nginx_cache_bytes": 10**13,
        "nginx_requests_per_s": 1,
        "nginx_server_name": "a.example.org *.example.net",
    },
]


@pytest.mark.parametrize("values", FORMS)
async def test_nginx_and_gixy_have_nothing_to_say(tmp_path: Path, values: dict[str, Any]) -> None:
    async with nginx_site(tmp_path, **values) as front:
        config = tmp_path / "nginx" / "nginx.conf"
        assert NGINX_BINARY is not None
        told = await _run(
            NGINX_BINARY, "-t", "-q", "-c", str(config), "-p", str(config.parent), "-e", "stderr"
        )
        assert told == (0, "")
        code, said = await _run(sys.executable, "-m", "gixy", "--format", "json", str(config))
        assert (code, json.loads(said or "[]")) == (0, [])
        assert front.process.log_tail() == ""


async def _run(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@pytest.mark.parametrize(
    "values",
    [
        {"nginx_server_name": "x; } server {"},
        {"nginx_cache_dir": '/a"b'},
        {"nginx_api": ("127.0.0.1:1;",)},
        {"nginx_tls_certificate": "/a.pem"},
        {"nginx_access_log": "relative.log"},
    ],
)
def test_a_setting_cannot_write_configuration(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"may contain|must be an absolute path|or neither"):
        NginxSettings(**values)


async def test_events_and_api_answers_are_never_kept(tmp_path: Path) -> None:
    async def cacheable(_: web.Request) -> web.Response:
        return web.Response(body=b"x", headers={"Cache-Control": "public, max-age=100"})

    async with stub_service(cacheable, tmp_path / "api.sock") as inner, nginx_site(tmp_path) as front:
        for _ in range(2):
            for path in ("/api/tags", "/api/events", "/api/images"):
                await front.get(path)
        assert set(inner.request_counts.values()) == {2}
