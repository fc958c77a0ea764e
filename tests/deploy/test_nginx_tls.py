"""HTTPS as our configuration serves it: HTTP/2, a redirect to it, and a certificate that is renewed."""

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


async def test_http_leads_to_https_which_is_to_be_kept_to(tmp_path: Path) -> None:
    pair = await self_signed(tmp_path)
    async with (
        stub_service(plain, tmp_path / "api.sock"),
        stub_service(plain, tmp_path / "edge.sock"),
        nginx_site(tmp_path, scheme="https", **settings(pair)) as front,
    ):
        for path in ("/api/tags", f"/media/{CONTENT}/320.webp"):
            answer, _ = await front.get(path, ssl=pair.client_context())
            assert answer.status == 200
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        async with front.client.get(f"http://127.0.0.1:{front.port}/x?y=1", allow_redirects=False) as moved:
            assert moved.status == 308
            assert moved.headers["Location"] == f"https://127.0.0.1:{front.port + 2}/x?y=1"


async def test_pages_and_pictures_come_by_http_2(tmp_path: Path) -> None:
    curl = shutil.which("curl") or skip_or_fail("curl", "sudo apt-get install curl")
    pair = await self_signed(tmp_path)
    async with (
        stub_service(plain, tmp_path / "api.sock"),
        stub_service(plain, tmp_path / "edge.sock"),
        nginx_site(tmp_path, scheme="https", **settings(pair)) as front,
    ):
        base = f"https://127.0.0.1:{front.port + 2}"
        asked = [f"{base}/api/tags", f"{base}/media/{CONTENT}/320.webp", f"{base}/media/{CONTENT}/320.webp"]
        process = await asyncio.create_subprocess_exec(
            curl, "-sS", "--http2", "--cacert", str(pair.certificate), "--noproxy", "*",
            "-w", "%{http_version} %{http_code} %{size_download}\\n",
            *(word for url in asked for word in ("-o", "/dev/null", url)),
            stdout=subprocess.PIPE,
        )  # fmt: skip
        said = (await process.communicate())[0].decode().splitlines()
        assert [line.split()[:2] for line in said] == [["2", "200"]] * 3
        assert len({line.split()[2] for line in said}) == 1


@pytest.mark.parametrize(("newest", "taken"), [("1.1", False), ("1.2", True), ("1.3", True)])
async def test_old_protocols_are_refused(tmp_path: Path, newest: str, taken: bool) -> None:
    curl = shutil.which("curl") or skip_or_fail("curl", "sudo apt-get install curl")
    pair = await self_signed(tmp_path)
    async with (
        stub_service(plain, tmp_path / "api.sock"),
        nginx_site(tmp_path, scheme="https", **settings(pair)) as front,
    ):
        process = await asyncio.create_subprocess_exec(
            curl, "-s", "-o", "/dev/null", "--cacert", str(pair.certificate), "--noproxy", "*",
            "--tlsv1.0", "--tls-max", newest, "--ciphers", "DEFAULT@SECLEVEL=0",
            f"https://127.0.0.1:{front.port + 2}/api/tags",
        )  # fmt: skip
        assert (await process.wait() == 0) is taken


async def test_a_renewed_certificate_is_served_after_a_reload_and_nobody_is_cut_off(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        if request.path == "/api/libraries":
            await go_on.wait()
        return await plain(request)

    before = await self_signed(tmp_path)
    old = before.der()
    async with (
        stub_service(slow, tmp_path / "api.sock") as inner,
        nginx_site(tmp_path, scheme="https", **settings(before)) as front,
    ):
        assert await shown(front) == old
        held = asyncio.create_task(front.get("/api/libraries"))
        await until(lambda: has_come(inner.request_counts["/api/libraries"]))
        others = [asyncio.create_task(asking(front, go_on)) for _ in range(4)]
        renewed = await self_signed(tmp_path)
        os.kill(front.process.pid, signal.SIGHUP)

        async def is_new() -> bool:
            return await shown(front) == renewed.der()

        await until(is_new)
        assert renewed.der() != old
        go_on.set()
        assert (await held)[0].status == 200
        for number in await asyncio.gather(*others):
            assert number > 0


async def has_come(number: int) -> bool:
    return number > 0


async def shown(front: NginxSite) -> bytes:
    """The certificate that a new client is shown."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", front.port + 2, ssl=anybody)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return bytes(found)


async def asking(front: NginxSite, until_then: asyncio.Event) -> int:
    """One request after the other, each on a connection of its own; how many. Fails where one does."""
    number = 0
    connector = aiohttp.TCPConnector(ssl=False, force_close=True)
    base = f"https://127.0.0.1:{front.port + 2}"
    async with aiohttp.ClientSession(base, connector=connector) as session:
        while not until_then.is_set():
            async with session.get("/api/tags") as answer:
                assert answer.status == 200
                await answer.read()
            number += 1
    return number
