"""HTTPS in NGINX's configuration: redirect, HSTS, HTTP/2, protocols, renewal of the certificate."""

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.support.certificates import CertificatePair, self_signed
from tests.support.nginx_site import NginxSite, nginx_site, stub_service
from tests.support.servers import skip_or_fail
from tests.support.waiting import until

CONTENT = "ab" * 32


async def plain(_: web.Request) -> web.Response:
    return web.json_response({"filler": "x" * 2000}, headers={"Cache-Control": "public, max-age=600"})


def settings(pair: CertificatePair) -> dict[str, Any]:
    return {"nginx_tls_certificate": str(pair.certificate), "nginx_tls_key": str(pair.key)}


async def test_http_is_redirected_to_https_with_hsts(tmp_path: Path) -> None:
    pair = await self_signed(tmp_path)
    async with (
        stub_service(plain, tmp_path / "api.sock"),
        stub_service(plain, tmp_path / "edge.sock"),
        nginx_site(tmp_path, scheme="https", **settings(pair)) as site,
    ):
        for path in ("/api/tags", f"/media/{CONTENT}/320.webp"):
            response, _ = await site.get(path, ssl=pair.client_context())
            assert response.status == 200
            assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
        async with site.client.get(f"http://127.0.0.1:{site.port}/x?y=1", allow_redirects=False) as redirect:
            assert redirect.status == 308
            assert redirect.headers["Location"] == f"https://127.0.0.1:{site.port + 2}/x?y=1"


async def test_api_and_media_are_served_by_http_2(tmp_path: Path) -> None:
    curl = shutil.which("curl") or skip_or_fail("curl", "sudo apt-get install curl")
    pair = await self_signed(tmp_path)
    async with (
        stub_service(plain, tmp_path / "api.sock"),
        stub_service(plain, tmp_path / "edge.sock"),
        nginx_site(tmp_path, scheme="https", **settings(pair)) as site,
    ):
        base = f"https://127.0.0.1:{site.port + 2}"
        urls = [f"{base}/api/tags", f"{base}/media/{CONTENT}/320.webp", f"{base}/media/{CONTENT}/320.webp"]
        process = await asyncio.create_subprocess_exec(
            curl, "-sS", "--http2", "--cacert", str(pair.certificate), "--noproxy", "*",
            "-w", "%{http_version} %{http_code} %{size_download}\\n",
            *(argument for url in urls for argument in ("-o", "/dev/null", url)),
            stdout=subprocess.PIPE,
        )  # fmt: skip
        output = (await process.communicate())[0].decode().splitlines()
        assert [line.split()[:2] for line in output] == [["2", "200"]] * 3
        assert len({line.split()[2] for line in output}) == 1


@pytest.mark.parametrize(("newest", "accepted"), [("1.1", False), ("1.2", True), ("1.3", True)])
async def test_old_protocols_are_refused(tmp_path: Path, newest: str, accepted: bool) -> None:
    curl = shutil.which("curl") or skip_or_fail("curl", "sudo apt-get install curl")
    pair = await self_signed(tmp_path)
    async with (
        stub_service(plain, tmp_path / "api.sock"),
        nginx_site(tmp_path, scheme="https", **settings(pair)) as site,
    ):
        process = await asyncio.create_subprocess_exec(
            curl, "-s", "-o", "/dev/null", "--cacert", str(pair.certificate), "--noproxy", "*",
            "--tlsv1.0", "--tls-max", newest, "--ciphers", "DEFAULT@SECLEVEL=0",
            f"https://127.0.0.1:{site.port + 2}/api/tags",
        )  # fmt: skip
        assert (await process.wait() == 0) is accepted


async def test_reload_serves_the_renewed_certificate_and_drops_no_request(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        if request.path == "/api/libraries":
            await release.wait()
        return await plain(request)

    before = await self_signed(tmp_path)
    old = before.der()
    async with (
        stub_service(slow, tmp_path / "api.sock") as inner,
        nginx_site(tmp_path, scheme="https", **settings(before)) as site,
    ):
        assert await served_certificate(site) == old
        pending = asyncio.create_task(site.get("/api/libraries"))
        await until(lambda: is_positive(inner.request_counts["/api/libraries"]))
        clients = [asyncio.create_task(request_repeatedly(site, release)) for _ in range(4)]
        renewed = await self_signed(tmp_path)
        os.kill(site.process.pid, signal.SIGHUP)

        async def is_new() -> bool:
            return await served_certificate(site) == renewed.der()

        await until(is_new)
        assert renewed.der() != old
        release.set()
        assert (await pending)[0].status == 200
        for number in await asyncio.gather(*clients):
            assert number > 0


async def is_positive(number: int) -> bool:
    return number > 0


async def served_certificate(site: NginxSite) -> bytes:
    """The certificate that a new connection gets, in DER."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", site.port + 2, ssl=context)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return bytes(certificate)


async def request_repeatedly(site: NginxSite, stop: asyncio.Event) -> int:
    """Send requests until `stop`, each on a new connection; returns their number. Fails if one fails."""
    number = 0
    connector = aiohttp.TCPConnector(ssl=False, force_close=True)
    base = f"https://127.0.0.1:{site.port + 2}"
    async with aiohttp.ClientSession(base, connector=connector) as session:
        while not stop.is_set():
            async with session.get("/api/tags") as response:
                assert response.status == 200
                await response.read()
            number += 1
    return number
