"""X-Accel-Redirect compared with sending variants from the edge: `python -m bench.suites.nginx_x_accel`.

Warm variants of three sizes through NGINX without its cache: the edge names a file that NGINX sends
(TAGIFY_EDGE_X_ACCEL), sends the bytes from its disk cache, or from memory; compared with NGINX's own cache,
the default. wrk, 16 connections, interleaved, medians.
"""

import asyncio
import statistics
import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp

from bench.lib.load import cpu_s, request_repeatedly
from bench.lib.photos import write_photos
from bench.lib.results import Results, recorded
from bench.suites.edge_variants import Contents, store_originals
from tests.support.edge_process import edge_process
from tests.support.nginx_site import nginx_site
from tests.support.servers import Servers

WIDTHS = (160, 512, 1600)
ORIGINALS = 6
ROUNDS = 5
SECONDS = 2

WAYS: dict[str, tuple[dict[str, Any], bool]] = {
    "X-Accel-Redirect": ({"edge_x_accel": True, "edge_memory_bytes": 0}, True),
    "edge, from its disk cache": ({"edge_memory_bytes": 0}, True),
    "edge, from memory": ({}, True),
    "NGINX's cache": ({}, False),
}
"""Settings of the edge, and whether NGINX requests each variant from the edge."""


class Way:
    """An edge with an nginx in front of it."""

    def __init__(self, base: str, edge: int, front: int) -> None:
        self.base = base
        self._pids = (edge, front)

    def cpu_s(self) -> float:
        return sum(map(cpu_s, self._pids))

    async def measure(self, urls: list[str], script: Path) -> tuple[float, float]:
        """Requests per second, and CPU of the edge and NGINX per request in ms."""
        before = self.cpu_s()
        cost = await request_repeatedly(self._pids[0], urls, script, SECONDS)
        return cost.rps, (self.cpu_s() - before) / (cost.rps * SECONDS) * 1000


async def start(
    stack: AsyncExitStack, folder: Path, values: dict[str, Any], more: dict[str, Any], *, uncached: bool
) -> Way:
    folder.mkdir()
    edge = await stack.enter_async_context(edge_process({**values, **more}, folder))
    front = await stack.enter_async_context(
        nginx_site(
            folder,
            nginx_edge=(f"127.0.0.1:{edge.port}",),
            edge_x_accel=uncached,
            edge_cache_dir=folder / "cache",
            nginx_access_log="",
        )
    )
    return Way(f"http://127.0.0.1:{front.port}", edge.pid, front.process.pid)


async def compare(folder: Path, values: dict[str, Any], results: Results) -> None:
    originals = folder / "originals"
    write_photos(originals, (4000, 3000), ORIGINALS)
    contents: Contents = await store_originals(originals, values, "handover", thumbs=False)
    async with AsyncExitStack() as stack:
        ways = {}
        for number, (name, (more, uncached)) in enumerate(WAYS.items()):
            ways[name] = await start(
                stack, folder / str(number), values | contents.settings, more, uncached=uncached
            )
        for width in WIDTHS:
            paths = [f"/media/{content}/{width}.jpg" for content in contents.names.values()]
            await measure_width(ways, width, paths, folder / "wrk.lua", results)


async def measure_width(
    ways: dict[str, Way], width: int, paths: list[str], script: Path, results: Results
) -> None:
    size = 0
    async with aiohttp.ClientSession() as session:
        # The first request renders, the second verifies the file, the third may be redirected to it.
        for way in ways.values():
            for path in paths * 3:
                async with session.get(way.base + path) as response:
                    assert response.status == 200
                    size = len(await response.read())
    measured: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, way in ways.items():
            measured[name].append(await way.measure([way.base + path for path in paths], script))
    print(f"\n{width} px, {size / 1000:.0f} kB:")
    for name, rounds in measured.items():
        rps, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        results.figures(f"{width} px, {name}", requests_per_s=rps, cpu_ms=cpu)
        print(f"  {name:32} {rps:9,.0f} rps, {cpu:6.3f} ms of CPU each")


async def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        folder.chmod(0o755)
        servers = Servers(folder / "servers")
        values = {"mongo_uri": servers.mongo_uri(), **servers.s3("minio").settings}
        try:
            with recorded("nginx_x_accel") as results:
                await compare(folder, values, results)
        finally:
            servers.close()


if __name__ == "__main__":
    asyncio.run(main())
