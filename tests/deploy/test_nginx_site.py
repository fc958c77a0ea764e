"""NGINX's configuration in front of stub services: hidden pages, headers, limits, errors, logs, failover."""

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


async def test_internal_pages_are_not_public(tmp_path: Path) -> None:
    async with stub_service(plain, tmp_path / "api.sock") as inner, nginx_site(tmp_path) as site:
        for path in (
            "/metrics",
            "/readyz",
            "/livez",
            "//metrics",
            "/./readyz",
            "/%6detrics",
            "/x/../metrics",
        ):
            assert b" 404 " in await _raw(site, path), path
        assert not inner.request_counts
        for path in ("/api/1/metrics", "/api/1/readyz"):
            async with site.client.get(f"http://127.0.0.1:{site.internal_port}{path}") as response:
                assert response.status == 200
        assert inner.request_counts == {"/metrics": 1, "/readyz": 1}


async def _raw(site: NginxSite, path: str) -> bytes:
    """The status line for a path that the client must not normalize."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    response = await reader.read()
    writer.close()
    await writer.wait_closed()
    return response.partition(b"\r\n")[0]


async def test_security_headers_are_on_every_response_once(tmp_path: Path) -> None:
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
        nginx_site(tmp_path) as site,
    ):
        response, _ = await site.get("/")
        assert response.headers.getall("Content-Security-Policy") == [policy]
        assert response.headers.getall("X-Content-Type-Options") == ["nosniff"]
        variant = f"/media/{'ab' * 32}/320.webp"
        policies = dict.fromkeys(("/media/x", "/metrics"), "default-src 'none'; frame-ancestors 'none'")
        for path, expected in {**policies, variant: SECURITY_HEADERS["Content-Security-Policy"]}.items():
            response, _ = await site.get(path)
            assert response.headers.getall("Content-Security-Policy") == [expected]
            assert response.headers.getall("X-Content-Type-Options") == ["nosniff"]
            assert response.headers["X-Frame-Options"] == "DENY"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert response.headers["Server"] == "nginx"
            assert "Strict-Transport-Security" not in response.headers


async def test_rate_limit_is_per_client(tmp_path: Path) -> None:
    async with (
        stub_service(plain, tmp_path / "api.sock"),
        nginx_site(tmp_path, nginx_requests_per_s=5, nginx_trusted_proxies=("127.0.0.1",)) as site,
    ):

        async def status(client: str) -> tuple[int, str]:
            response, _ = await site.get("/api/tags", headers={"X-Forwarded-For": client})
            return response.status, response.content_type

        responses = await asyncio.gather(*(status("192.0.2.1") for _ in range(40)))
        assert {code for code, _ in responses} == {200, 429}
        assert (429, PROBLEM) in responses
        assert await status("192.0.2.2") == (200, "application/json")
        # An IPv6 /64 network is one client.
        responses = await asyncio.gather(*(status(f"2001:db8:1:2::{n}") for n in range(1, 40)))
        assert 429 in {code for code, _ in responses}


async def test_event_streams_are_limited_and_unbuffered(tmp_path: Path) -> None:
    async def events(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"data: 1\n\n")
        await asyncio.sleep(30)
        return stream

    async with (
        stub_service(events, tmp_path / "api.sock"),
        nginx_site(tmp_path, nginx_streams_per_client=3) as site,
    ):
        streams = [await site.client.get("/api/events") for _ in range(3)]
        for stream in streams:
            assert await asyncio.wait_for(stream.content.readany(), 10) == b"data: 1\n\n"
        response, _ = await site.get("/api/events")
        assert response.status == 429
        for stream in streams:
            stream.close()


async def test_large_bodies_and_upstream_failures_are_problems(tmp_path: Path) -> None:
    async with stub_service(plain, tmp_path / "api.sock") as inner, nginx_site(tmp_path) as site:
        async with site.client.post("/api/images/tags", data=io.BytesIO(bytes(3 << 20))) as response:
            assert (response.status, response.content_type) == (413, PROBLEM)
        assert not inner.request_counts
        await inner.stop()
        response, body = await site.get("/api/tags")
        assert (response.status, response.content_type) == (503, PROBLEM)
        assert json.loads(body)["type"] == "urn:tagify:problem:unavailable"


async def test_text_is_compressed_and_images_are_not(tmp_path: Path) -> None:
    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 5000, content_type="image/webp")

    accept = {"Accept-Encoding": "gzip"}
    async with (
        stub_service(plain, tmp_path / "api.sock"),
        stub_service(picture, tmp_path / "edge.sock"),
        nginx_site(tmp_path) as site,
    ):
        response, body = await site.get("/api/tags", headers=accept)
        assert response.headers["Content-Encoding"] == "gzip"
        assert len(body) < 500
        response, _ = await site.get(f"/media/{'ab' * 32}/320.webp", headers=accept)
        assert "Content-Encoding" not in response.headers


async def test_request_id_is_passed_to_service_and_log(tmp_path: Path) -> None:
    async with stub_service(plain, tmp_path / "api.sock") as inner, nginx_site(tmp_path) as site:
        response, _ = await site.get('/api/tags?prefix=%22"', headers={"X-Request-ID": "from-outside-1"})
        assert response.headers.getall("X-Request-ID") == ["from-outside-1"]
        assert inner.request_headers[0]["x-request-id"] == "from-outside-1"
        response, _ = await site.get("/api/tags", headers={"X-Request-ID": "no id\t!"})
        generated = response.headers["X-Request-ID"]
        assert len(generated) == 32
        assert inner.request_headers[1]["x-request-id"] == generated
        lines = await _logged(site, 2)
        assert [line["request_id"] for line in lines] == ["from-outside-1", generated]
        assert lines[0]["status"] == 200
        assert lines[0]["upstream_s"]
        assert {"cache", "upstream_connect_s", "upstream_header_s", "upstream_status"} <= lines[0].keys()
        assert lines[0]["uri"].startswith("/api/tags?prefix=")


async def _logged(site: NginxSite, number: int) -> list[dict[str, Any]]:
    log = site.folder / "access.log"

    async def written() -> bool:
        return len(log.read_text().splitlines()) >= number

    await until(written)
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("trusted", [True, False])
async def test_x_forwarded_for_is_trusted_from_configured_proxies_only(tmp_path: Path, trusted: bool) -> None:
    proxies = ("127.0.0.0/8", "10.0.0.0/8") if trusted else ("10.0.0.0/8",)
    async with (
        stub_service(plain, tmp_path / "api.sock") as inner,
        nginx_site(tmp_path, nginx_trusted_proxies=proxies) as site,
    ):
        await site.get("/api/tags", headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.7, 10.0.0.1"})
        assert inner.request_headers[0]["x-forwarded-for"] == ("192.0.2.7" if trusted else "127.0.0.1")
        assert (await _logged(site, 1))[0]["client"] == ("192.0.2.7" if trusted else "127.0.0.1")


async def test_upstream_connections_are_reused(tmp_path: Path) -> None:
    transports: set[int] = set()

    async def recording(request: web.Request) -> web.Response:
        transports.add(id(request.transport))
        return await plain(request)

    async with (
        stub_service(recording, tmp_path / "api.sock"),
        stub_service(recording, tmp_path / "edge.sock"),
        nginx_site(tmp_path) as site,
    ):
        for path in ("/api/tags", "/media/x"):
            transports.clear()
            for _ in range(30):
                assert (await site.get(path))[0].status == 200
            # At most one per worker of nginx.
            assert len(transports) <= (os.cpu_count() or 1)


async def test_conditional_requests_of_compressed_responses_get_304(tmp_path: Path) -> None:
    async def tagged(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match", "").removeprefix("W/") == '"1"':
            return web.Response(status=304, headers={"ETag": '"1"'})
        response = await plain(request)
        response.headers["ETag"] = '"1"'
        return response

    accept = {"Accept-Encoding": "gzip"}
    async with stub_service(tagged, tmp_path / "api.sock") as inner, nginx_site(tmp_path) as site:
        response, _ = await site.get("/api/tags", headers=accept)
        tag = response.headers["ETag"]
        response, body = await site.get("/api/tags", headers={**accept, "If-None-Match": tag})
        assert (response.status, body) == (304, b"")
        assert inner.request_counts["/api/tags"] == 2


async def test_stopped_instance_causes_no_failed_request(tmp_path: Path) -> None:
    addresses = tuple(f"unix:{tmp_path}/{name}.sock" for name in ("one", "two"))
    async with (
        stub_service(plain, tmp_path / "one.sock") as one,
        stub_service(plain, tmp_path / "two.sock") as two,
        nginx_site(tmp_path, nginx_api=addresses, nginx_edge=addresses) as site,
    ):
        paths = [f"/api/tags?{n}" for n in range(20)] + [f"/media/{n}" for n in range(20)]
        for instance, name in ((one, "one"), (two, "two")):
            await instance.stop()
            responses = await asyncio.gather(*(site.get(path) for path in paths))
            assert {response.status for response, _ in responses} == {200}
            async with site.client.post("/api/tags/apply/x", json=["a"]) as response:
                assert response.status == 200
            await instance.start(tmp_path / f"{name}.sock")


async def test_page_is_served_stale_while_the_api_is_down(tmp_path: Path) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(body=b"<p>", headers={"Cache-Control": "no-cache", "ETag": '"1"'})

    async with stub_service(page, tmp_path / "api.sock") as inner, nginx_site(tmp_path) as site:
        await site.get("/")
        await inner.stop()
        response, body = await site.get("/")
        assert (response.status, body, response.headers["Cache-Control"]) == (200, b"<p>", "no-cache")
        response, _ = await site.get("/", headers={"If-None-Match": '"1"'})
        assert response.status == 304


CONFIGURATIONS: list[dict[str, Any]] = [
    {},
    {"cors_origins": ("*",), "nginx_access_log": ""},
    {"nginx_trusted_proxies": ("10.0.0.0/8", "2001:db8::/32"), "nginx_internal_port": 0},
    {
        "nginx_cache_bytes": 10**13,
        "nginx_requests_per_s": 1,
        "nginx_server_name": "a.example.org *.example.net",
    },
]


@pytest.mark.parametrize("values", CONFIGURATIONS)
async def test_nginx_and_gixy_report_no_problem(tmp_path: Path, values: dict[str, Any]) -> None:
    async with nginx_site(tmp_path, **values) as site:
        config = tmp_path / "nginx" / "nginx.conf"
        assert NGINX_BINARY is not None
        result = await _run(
            NGINX_BINARY, "-t", "-q", "-c", str(config), "-p", str(config.parent), "-e", "stderr"
        )
        assert result == (0, "")
        code, output = await _run(sys.executable, "-m", "gixy", "--format", "json", str(config))
        assert (code, json.loads(output or "[]")) == (0, [])
        assert site.process.log_tail() == ""


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
def test_settings_cannot_inject_directives(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"may contain|must be an absolute path|or neither"):
        NginxSettings(**values)


async def test_api_responses_are_never_cached(tmp_path: Path) -> None:
    async def cacheable(_: web.Request) -> web.Response:
        return web.Response(body=b"x", headers={"Cache-Control": "public, max-age=100"})

    async with stub_service(cacheable, tmp_path / "api.sock") as inner, nginx_site(tmp_path) as site:
        for _ in range(2):
            for path in ("/api/tags", "/api/events", "/api/images"):
                await site.get(path)
        assert set(inner.request_counts.values()) == {2}
