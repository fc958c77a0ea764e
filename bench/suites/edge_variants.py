"""Variants beside their peers.

`python -m bench.suites.edge_variants [PEERS]` (bench/peers/variant_servers.py installs them).

512 px wide JPEGs of 12 MP originals, all servers in turns. Cold: each original once, four at a
time, the edge both from its originals and, as it does it, from its thumbs. Warm: wrk, 16
connections, 20 URLs in turns, the edge with and without its memory layer, beside a bare aiohttp
handler. By id: 500 requests a second, times from the server's own histogram. CPU and memory are
those of the server and its children; MinIO and MongoDB, which the edge asks and its peers do not,
stand apart.
"""

import asyncio
import hashlib
import random
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.lib.load import Cost, again_and_again, each_once, peak_mb
from bench.lib.photos import photos
from bench.peers import variant_servers
from bench.peers.variant_servers import Peer
from tagify.catalog import Catalog, ImageFilter, UpsertImage
from tagify.imaging import decode_original
from tagify.model import Bucket, Content, FileFacts, Picture
from tagify.settings import CommonSettings
from tagify.storage.store import ObjectStore
from tests.support.edge_process import edge_process
from tests.support.servers import Servers

ROUNDS = 3
PER_ROUND = 16
WARM = 20
WARM_S = 3
BY_ID_RATE = 500
BY_ID_S = 6


@dataclass(frozen=True, slots=True)
class Contents:
    """What is stored: contents by file name, and the settings that find them."""

    names: dict[str, Content]
    settings: dict[str, Any]


async def stored(folder: Path, values: dict[str, Any], name: str, *, thumbs: bool) -> Contents:
    """The originals put into the store and the catalog as ingest does, with or without thumbs."""
    found = Contents({}, {"mongo_database": name, "s3_key_prefix": f"{name}/"})
    settings = CommonSettings(**{**values, **found.settings})
    catalog, blobs = Catalog(settings), ObjectStore(settings)
    await blobs.ensure_buckets()
    await catalog.ensure_indexes()
    library = await catalog.libraries.create(name, f"/srv/{name}")
    small = decode_original((folder / "000000.jpg").read_bytes(), max_pixels=10**9)
    for number, file in enumerate(sorted(folder.glob("*.jpg"))):
        data = file.read_bytes()
        content = Content(hashlib.sha256(data).hexdigest())
        await blobs.upload(Bucket.ORIGINALS, content, data, "image/jpeg")
        if thumbs:
            await blobs.upload(Bucket.THUMBS, content, small.thumb, small.thumb_mime)
        facts = FileFacts(file.name, len(data), number, number + 1)
        picture = Picture("image/jpeg", 4000, 3000, b"")
        await catalog.images.write([UpsertImage(library.id, facts, content, picture)])
        found.names[file.name] = content
    await blobs.close()
    await catalog.close()
    return found


async def edge(
    held: AsyncExitStack, folder: Path, values: dict[str, Any], name: str, contents: Contents, **more: Any
) -> Peer:
    """An edge with a cache of its own over what is stored."""
    place = folder / name
    place.mkdir()
    settings = {**values, **contents.settings, **more}
    running = await held.enter_async_context(edge_process(settings, place))
    return Peer(name, running.pid, lambda file: f"{running.url}/media/{contents.names[file]}/512.jpg")


async def cold(servers: list[Peer], names: list[str]) -> None:
    """Each original once in each server."""
    print(f"\ncold, {len(names)} originals, medians of {ROUNDS} rounds")
    costs: dict[str, list[Cost]] = defaultdict(list)
    memory: dict[str, float] = defaultdict(float)
    for server in servers:
        await each_once(server.pid, [server.url(names[-1])], 1)
    for number in range(ROUNDS):
        part = names[number * PER_ROUND : (number + 1) * PER_ROUND]
        for server in servers:
            async with peak_mb(server.pid) as peak:
                costs[server.name].append(await each_once(server.pid, [server.url(name) for name in part], 4))
            memory[server.name] = max(memory[server.name], peak[0])
    for server in servers:
        print(f"  {line(server.name, costs[server.name])}, {memory[server.name]:.0f} MB")


async def warm(servers: list[tuple[Peer, Callable[[str], str]]], names: list[str], folder: Path) -> None:
    """The same URLs again and again."""
    print(f"\nwarm, {WARM} URLs, medians of {ROUNDS} rounds of {WARM_S} s")
    costs: dict[str, list[Cost]] = defaultdict(list)
    for server, url in servers:
        await each_once(server.pid, [url(name) for name in names[:WARM]], 4)
    for _ in range(ROUNDS):
        for server, url in servers:
            urls = [url(name) for name in names[:WARM]]
            seconds = WARM_S if "ipx" not in server.name else 1
            costs[server.name].append(await again_and_again(server.pid, urls, folder / "wrk.lua", seconds))
    first = statistics.median(cost.rps for cost in costs[servers[0][0].name])
    for server, _ in servers:
        ratio = statistics.median(cost.rps for cost in costs[server.name]) / first
        print(f"  {line(server.name, costs[server.name])}, {ratio:.2f} of the first")


def line(name: str, costs: list[Cost]) -> str:
    rps = statistics.median(cost.rps for cost in costs)
    cpu = statistics.median(cost.cpu_ms for cost in costs)
    size = f", {costs[0].size / 1000:.0f} kB each" if costs[0].size else ""
    return f"{name:32} {rps:9,.1f} rps, {cpu:8.3f} ms of CPU each{size}"


async def by_id(server: Peer, values: dict[str, Any]) -> None:
    """Thumbs by id at a fixed rate; times by the server's own histogram."""
    base = "/".join(server.url("000000.jpg").split("/")[:3])
    catalog = Catalog(CommonSettings(**values))
    ids = [image.id for image in await catalog.listing.newest(ImageFilter(), limit=WARM)]
    await catalog.close()
    urls = [f"{base}/api/images/{one}/thumb" for one in ids]
    headers = {"Accept": "image/avif,image/webp,*/*;q=0.8"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def ask(url: str) -> None:
            async with session.get(url) as response:
                assert response.status == 200
                await response.read()

        for url in urls:
            await ask(url)
        before, tasks, start = await buckets(session, base), [], time.monotonic()
        for number in range(BY_ID_RATE * BY_ID_S):
            await asyncio.sleep(max(0.0, start + number / BY_ID_RATE - time.monotonic()))
            tasks.append(asyncio.create_task(ask(random.choice(urls))))
        await asyncio.gather(*tasks)
        rate = len(tasks) / (time.monotonic() - start)
        after = await buckets(session, base)
    print(f"\nby id, warm, {rate:.0f} requests/s, server side: ", end="")
    total = after["+Inf"] - before["+Inf"]
    print(
        ", ".join(
            f"{(after[le] - before[le]) / total:.1%} under {le} s" for le in ("0.001", "0.0025", "0.005")
        )
    )


async def buckets(session: aiohttp.ClientSession, base: str) -> dict[str, float]:
    async with session.get(f"{base}/metrics") as response:
        text = await response.text()
    pattern = (
        r'http_request_seconds_bucket\{le="([^"]+)",route="/api/images/\{id\}/thumb",status="2xx"\} (\S+)'
    )
    return {le: float(value) for le, value in re.findall(pattern, text)}


async def main(where: Path) -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        originals = folder / "originals"
        photos(originals, (4000, 3000), ROUNDS * PER_ROUND + 1)
        names = sorted(file.name for file in originals.glob("*.jpg"))
        servers = Servers(folder)
        values = {"mongo_uri": servers.mongo_uri(), **servers.s3("minio").settings}
        try:
            async with AsyncExitStack() as held:
                await compared(held, where, folder, originals, names, values)
        finally:
            servers.close()


async def compared(
    held: AsyncExitStack, where: Path, folder: Path, originals: Path, names: list[str], values: dict[str, Any]
) -> None:
    plain = await stored(originals, values, "plain", thumbs=False)
    whole = await stored(originals, values, "whole", thumbs=True)
    from_originals = await edge(held, folder, values, "edge, from originals", plain)
    from_thumbs = await edge(held, folder, values, "edge, from thumbs", whole)
    disk_only = await edge(held, folder, values, "edge, disk alone", plain, edge_memory_bytes=0)
    others = [
        await held.enter_async_context(start(where, folder, originals))
        for start in variant_servers.installed(where)
    ]
    await cold([from_originals, from_thumbs, *others], names)
    bodies = folder / "bodies"
    bodies.mkdir()
    async with aiohttp.ClientSession() as session:
        for name in names[:WARM]:
            async with session.get(disk_only.url(name)) as response:
                (bodies / name).write_bytes(await response.read())
    reference = await held.enter_async_context(variant_servers.bare(bodies))
    sides = [reference, from_originals, disk_only, *others]
    await warm([(side, side.url) for side in sides], names, folder)
    await by_id(from_thumbs, values | whole.settings)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".bench/peers")))
