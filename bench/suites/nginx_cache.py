"""NGINX's cache in front of the edge: `python -m bench.suites.nginx_cache`.

Warm hits per second with Tagify's configuration and its access log, compared with the same nginx serving the
same bytes as a static file, from a plain `proxy_cache` without a log, and from one with nginx's default log;
interleaved, medians of several rounds. Also the share of requests that reach the edge when 10,000 thumbs are
browsed twice.
"""

import asyncio
import os
import re
import statistics
import tempfile
from pathlib import Path

import aiohttp
from aiohttp import web

from bench.lib.results import Results, recorded
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
CONCURRENT = 32

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
    output = (await wrk.communicate())[0].decode()
    assert "Non-2xx" not in output
    match = re.search(r"Requests/sec: +([\d.]+)", output)
    assert match, output
    return float(match[1])


async def browse(port: int) -> None:
    """Request each thumb once, in order."""
    numbers = iter(range(THUMBS))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def client() -> None:
            for number in numbers:
                async with session.get(f"/media/{number:064x}/320.webp") as response:
                    assert response.status == 200
                    await response.read()

        await asyncio.gather(*(client() for _ in range(CONCURRENT)))


def configured(folder: Path, port: int) -> Path:
    settings = NginxSettings(
        nginx_listen=(f"127.0.0.1:{port}",),
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
    with tempfile.TemporaryDirectory() as text, recorded("nginx_cache") as results:
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
                await warm_hits(port, results)
                edge.request_counts.clear()
                await browse(port)
                await browse(port)
                share = sum(edge.request_counts.values()) / (2 * THUMBS)
                results.ratios("thumbs browsed twice", edge_to_all_requests=share)
                print(f"{THUMBS} thumbs browsed twice: {share:.0%} of the requests reached the edge")
            finally:
                await front.stop()


async def warm_hits(port: int, results: Results) -> None:
    sides = {
        "Tagify": port,
        "a static file, no log": port + 1,
        "plain proxy_cache, no log": port + 2,
        "plain proxy_cache, default log": port + 3,
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(ROUNDS + 1):
        for name, side_port in sides.items():
            hits_per_s = await rate(side_port)
            if number:  # the first round is a warm-up
                rates[name].append(hits_per_s)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, median in medians.items():
        results.figures(name, hits_per_s=median)
        results.ratios(name, tagify_to_this=medians["Tagify"] / median)
        print(f"warm hits, 20 kB, 32 connections, {name}: {median:,.0f}/s ({medians['Tagify'] / median:.2f})")


if __name__ == "__main__":
    asyncio.run(main())
