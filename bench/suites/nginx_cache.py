"""NGINX in front, in figures: `python -m bench.suites.nginx_cache`.

Warm hits a second through our configuration, with its access log, beside the same nginx serving the
same bytes as a static file, from a plain `proxy_cache` without a log, and from one with nginx's own
log; interleaved, medians of several rounds. And the share of media requests that reach the edge in
a browse of 10,000 thumbs seen twice.
"""

import asyncio
import os
import re
import statistics
import tempfile
from pathlib import Path

import aiohttp
from aiohttp import web

from tagify.deploy.nginx import render
from tagify.servers.ports import accepts_connections
from tagify.servers.process import Process, Program
from tagify.settings import NginxSettings
from tests.support.nginx_site import NGINX_BINARY, stub_service

ROUNDS = 7
SECONDS = 3
THUMB = os.urandom(20_000)
CONTENT = "ab" * 32
THUMBS = 10_000
AT_ONCE = 32

PEERS = """
proxy_cache_path "{folder}/plain" levels=1:2 keys_zone=plain:16m max_size=1g use_temp_path=off;
server {{
    listen 127.0.0.1:{static};
    access_log off;
    root "{folder}/static";
}}
server {{
    listen 127.0.0.1:{plain};
    access_log off;
    location / {{
        proxy_cache plain;
        proxy_pass http://tagify_edge;
    }}
}}
server {{
    listen 127.0.0.1:{logged};
    access_log "{folder}/combined.log";
    location / {{
        proxy_cache plain;
        proxy_pass http://tagify_edge;
    }}
}}
"""


async def thumb(_: web.Request) -> web.Response:
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "ETag": '"thumb"'}
    return web.Response(body=THUMB, content_type="image/webp", headers=headers)


async def rate(port: int) -> float:
    url = f"http://127.0.0.1:{port}/media/{CONTENT}/320.webp"
    wrk = await asyncio.create_subprocess_exec(
        "wrk", "-t1", "-c32", f"-d{SECONDS}s", url, stdout=asyncio.subprocess.PIPE
    )
    out = (await wrk.communicate())[0].decode()
    assert "Non-2xx" not in out
    found = re.search(r"Requests/sec: +([\d.]+)", out)
    assert found, out
    return float(found[1])


async def browse(port: int) -> None:
    """Each of the thumbs once, in the order of a page."""
    numbers = iter(range(THUMBS))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def look() -> None:
            for number in numbers:
                async with session.get(f"/media/{number:064x}/320.webp") as answer:
                    assert answer.status == 200
                    await answer.read()

        await asyncio.gather(*(look() for _ in range(AT_ONCE)))


def configured(folder: Path, port: int) -> Path:
    settings = NginxSettings(
        nginx_listen=f"127.0.0.1:{port}",
        nginx_edge=(f"unix:{folder}/edge.sock",),
        nginx_internal_port=0,
        nginx_access_log=str(folder / "access.log"),
        nginx_cache_dir=str(folder / "cache"),
    )
    config = render(folder, settings, standalone=True)
    peers = PEERS.format(folder=folder, static=port + 1, plain=port + 2, logged=port + 3)
    config.write_text(config.read_text().rstrip().removesuffix("}") + peers + "}\n")
    static = folder / "static" / "media" / CONTENT
    static.mkdir(parents=True)
    (static / "320.webp").write_bytes(THUMB)
    return config


async def main() -> None:
    assert NGINX_BINARY is not None
    with tempfile.TemporaryDirectory() as text:
        folder, port = Path(text), 26_500
        folder.chmod(0o755)
        config = configured(folder, port)
        argv = (NGINX_BINARY, "-c", str(config), "-p", text, "-e", "stderr")

        async with stub_service(thumb, folder / "edge.sock") as edge:
            front = await Process.start(
                Program(
                    name="nginx", argv=argv, log=folder / "log", ready=lambda: accepts_connections(port + 3)
                )
            )
            try:
                await warm_hits(port)
                edge.request_counts.clear()
                await browse(port)
                await browse(port)
                share = sum(edge.request_counts.values()) / (2 * THUMBS)
                print(f"{THUMBS} thumbs seen twice: {share:.0%} of the requests reached the edge")
            finally:
                await front.stop()


async def warm_hits(port: int) -> None:
    sides = {
        "Tagify": port,
        "a static file, no log": port + 1,
        "plain proxy_cache, no log": port + 2,
        "plain proxy_cache, nginx's own log": port + 3,
    }
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(ROUNDS + 1):
        for name, place in sides.items():
            figure = await rate(place)
            if number:  # the first round warms up
                found[name].append(figure)
    medians = {name: statistics.median(figures) for name, figures in found.items()}
    for name, median in medians.items():
        print(f"warm hits, 20 kB, 32 connections, {name}: {median:,.0f}/s ({medians['Tagify'] / median:.2f})")


if __name__ == "__main__":
    asyncio.run(main())
