"""Does it pay that NGINX sends variants from the edge's files? `python -m bench.suites.nginx_x_accel`

Warm variants of three sizes through NGINX without a cache of its own: the edge names the file
(TAGIFY_EDGE_X_ACCEL), sends the bytes from its disk cache, or sends them from memory; beside them
NGINX's own cache, which is what stands in front by default. wrk, 16 connections, medians, in turns.
"""

import asyncio
import statistics
import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp

from bench.lib.load import again_and_again, cpu_s
from bench.lib.photos import photos
from bench.suites.edge_variants import Contents, stored
from tests.support.edge_process import edge_process
from tests.support.nginx_site import nginx_site
from tests.support.servers import Servers

WIDTHS = (160, 512, 1600)
ORIGINALS = 6
ROUNDS = 5
SECONDS = 2

WAYS: dict[str, tuple[dict[str, Any], bool]] = {
    "the edge names the file": ({"edge_x_accel": True, "edge_memory_bytes": 0}, True),
    "the edge sends it from disk": ({"edge_memory_bytes": 0}, True),
    "the edge sends it from memory": ({}, True),
    "NGINX's own cache": ({}, False),
}
"""The edge's settings, and whether NGINX asks the edge each time."""


class Way:
    """An edge, and an nginx in front of it."""

    def __init__(self, base: str, edge: int, front: int) -> None:
        self.base = base
        self._pids = (edge, front)

    def cpu_s(self) -> float:
        return sum(map(cpu_s, self._pids))

    async def measured(self, urls: list[str], script: Path) -> tuple[float, float]:
        """Requests a second, and milliseconds of CPU for each in the edge and in NGINX."""
        before = self.cpu_s()
        cost = await again_and_again(self._pids[0], urls, script, SECONDS)
        return cost.rps, (self.cpu_s() - before) / (cost.rps * SECONDS) * 1000


async def started(
    held: AsyncExitStack, folder: Path, values: dict[str, Any], more: dict[str, Any], *, asks: bool
) -> Way:
    folder.mkdir()
    edge = await held.enter_async_context(edge_process({**values, **more}, folder))
    front = await held.enter_async_context(
        nginx_site(
            folder,
            nginx_edge=(f"127.0.0.1:{edge.port}",),
            edge_x_accel=asks,
            edge_cache_dir=folder / "cache",
            nginx_access_log="",
        )
    )
    return Way(f"http://127.0.0.1:{front.port}", edge.pid, front.process.pid)


async def compared(folder: Path, values: dict[str, Any]) -> None:
    originals = folder / "originals"
    photos(originals, (4000, 3000), ORIGINALS)
    contents: Contents = await stored(originals, values, "handover", thumbs=False)
    async with AsyncExitStack() as held:
        ways = {}
        for number, (name, (more, asks)) in enumerate(WAYS.items()):
            place = folder / str(number)
            ways[name] = await started(held, place, values | contents.settings, more, asks=asks)
        for width in WIDTHS:
            paths = [f"/media/{content}/{width}.jpg" for content in contents.names.values()]
            await one_size(ways, width, paths, folder / "wrk.lua")


async def one_size(ways: dict[str, Way], width: int, paths: list[str], script: Path) -> None:
    size = 0
    async with aiohttp.ClientSession() as session:
        # Made, then read from disk and found right; what is named is so from the third time on.
        for way in ways.values():
            for path in paths * 3:
                async with session.get(way.base + path) as response:
                    assert response.status == 200
                    size = len(await response.read())
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, way in ways.items():
            found[name].append(await way.measured([way.base + path for path in paths], script))
    print(f"\n{width} px, {size / 1000:.0f} kB:")
    for name, figures in found.items():
        rps, cpu = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"  {name:32} {rps:9,.0f} rps, {cpu:6.3f} ms of CPU each")


async def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        folder.chmod(0o755)
        servers = Servers(folder / "servers")
        values = {"mongo_uri": servers.mongo_uri(), **servers.s3("minio").settings}
        try:
            await compared(folder, values)
        finally:
            servers.close()


if __name__ == "__main__":
    asyncio.run(main())
