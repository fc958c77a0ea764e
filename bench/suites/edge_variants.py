"""Variants, compared with other image servers.

`python -m bench.suites.edge_variants [PEERS]` (bench/peers/variant_servers.py says how to install them).

512 px wide JPEGs of 12 MP originals, all servers interleaved. Cold: each original once, with four concurrent
clients; the edge renders from originals and, as in normal operation, from thumbs. Warm: wrk, 16 connections,
20 URLs round-robin; the edge with and without its memory cache, compared with a bare aiohttp handler. By id:
500 requests per second, response times from the server's histogram. CPU and memory are those of the server
and its descendants, without MinIO and MongoDB, which only the edge uses.
"""

import asyncio
import hashlib
import math
import random
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.lib.load import Cost, peak_mb, request_each_once, request_repeatedly
from bench.lib.photos import write_photos
from bench.lib.results import Results, recorded
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
BOUNDS_S = ("0.001", "0.0025", "0.005", "0.01")
"""Upper bounds of the histogram's buckets that are reported, in seconds."""

FROM_ORIGINALS, FROM_THUMBS = "edge, from originals", "edge, from thumbs"
DISK_ONLY = "edge, disk cache only"
BARE, IPX = "bare aiohttp handler", "ipx (sharp)"
WARM_RATIOS = {
    BARE: "edge_to_bare_handler",
    "thumbor": "edge_to_thumbor",
    "imagor": "edge_to_imagor",
    "nginx image_filter": "edge_to_nginx",
}
"""Names of the ratios of warm rates, by the peer's name in bench/peers/variant_servers.py."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The stored originals: contents by file name, and the settings of the database and bucket."""

    names: dict[str, Content]
    settings: dict[str, Any]


async def store_originals(folder: Path, values: dict[str, Any], name: str, *, thumbs: bool) -> Contents:
    """Store the originals of a folder and their documents as ingest does, with or without thumbs."""
    contents = Contents({}, {"mongo_database": name, "s3_key_prefix": f"{name}/"})
    settings = CommonSettings(**{**values, **contents.settings})
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
        contents.names[file.name] = content
    await blobs.close()
    await catalog.close()
    return contents


async def edge(
    stack: AsyncExitStack, folder: Path, values: dict[str, Any], name: str, contents: Contents, **more: Any
) -> Peer:
    """An edge with its own cache for the stored originals."""
    edge_folder = folder / name
    edge_folder.mkdir()
    settings = {**values, **contents.settings, **more}
    running = await stack.enter_async_context(edge_process(settings, edge_folder))
    return Peer(name, running.pid, lambda file: f"{running.url}/media/{contents.names[file]}/512.jpg")


async def cold(servers: list[Peer], names: list[str], results: Results) -> None:
    """Each original once in each server."""
    print(f"\ncold, {len(names)} originals, medians of {ROUNDS} rounds")
    costs: dict[str, list[Cost]] = defaultdict(list)
    memory: dict[str, float] = defaultdict(float)
    for server in servers:
        await request_each_once(server.pid, [server.url(names[-1])], 1)
    for number in range(ROUNDS):
        part = names[number * PER_ROUND : (number + 1) * PER_ROUND]
        for server in servers:
            async with peak_mb(server.pid) as peak:
                urls = [server.url(name) for name in part]
                costs[server.name].append(await request_each_once(server.pid, urls, 4))
            memory[server.name] = max(memory[server.name], peak[0])
    for server in servers:
        print(f"  {line(server.name, costs[server.name])}, {memory[server.name]:.0f} MB")
        record("cold", server.name, costs[server.name], results)
        results.figures(f"cold, {server.name}", memory_mb=memory[server.name])
    cpu_ms = {name: median(each).cpu_ms for name, each in costs.items()}
    if IPX in cpu_ms:
        results.ratios(
            "cold",
            edge_from_thumbs_to_ipx=cpu_ms[IPX] / cpu_ms[FROM_THUMBS],
            edge_from_originals_to_ipx=cpu_ms[IPX] / cpu_ms[FROM_ORIGINALS],
        )


async def warm(servers: list[Peer], names: list[str], folder: Path, results: Results) -> None:
    """The same URLs repeatedly. The first server is the reference of the printed ratios."""
    print(f"\nwarm, {WARM} URLs, medians of {ROUNDS} rounds of {WARM_S} s")
    costs: dict[str, list[Cost]] = defaultdict(list)
    for server in servers:
        await request_each_once(server.pid, [server.url(name) for name in names[:WARM]], 4)
    for _ in range(ROUNDS):
        for server in servers:
            urls = [server.url(name) for name in names[:WARM]]
            seconds = WARM_S if server.name != IPX else 1
            cost = await request_repeatedly(server.pid, urls, folder / "wrk.lua", seconds)
            costs[server.name].append(cost)
    rates = {name: median(each).rps for name, each in costs.items()}
    for server in servers:
        ratio = rates[server.name] / rates[servers[0].name]
        print(f"  {line(server.name, costs[server.name])}, {ratio:.2f} of the first")
        record("warm", server.name, costs[server.name], results)
    record_warm_ratios(rates, results)


def record_warm_ratios(rates: dict[str, float], results: Results) -> None:
    """Record the ratios of the edge's rates to those of its peers."""
    results.ratios("warm", disk_cache_to_bare_handler=rates[DISK_ONLY] / rates[BARE])
    for name, key in WARM_RATIOS.items():
        if name in rates:
            results.ratios("warm", **{key: rates[FROM_ORIGINALS] / rates[name]})


def record(kind: str, name: str, costs: list[Cost], results: Results) -> None:
    cost = median(costs)
    results.figures(f"{kind}, {name}", requests_per_s=cost.rps, cpu_ms=cost.cpu_ms)


def median(costs: list[Cost]) -> Cost:
    """The medians of all rounds."""
    return Cost(
        statistics.median(cost.rps for cost in costs),
        statistics.median(cost.cpu_ms for cost in costs),
        costs[0].size,
    )


def line(name: str, costs: list[Cost]) -> str:
    cost = median(costs)
    size = f", {cost.size / 1000:.0f} kB each" if cost.size else ""
    return f"{name:32} {cost.rps:9,.1f} rps, {cost.cpu_ms:8.3f} ms of CPU each{size}"


async def by_id(server: Peer, values: dict[str, Any], results: Results) -> None:
    """Thumbs by image id at a constant rate; response times from the server's histogram."""
    base = "/".join(server.url("000000.jpg").split("/")[:3])
    catalog = Catalog(CommonSettings(**values))
    ids = [image.id for image in await catalog.listing.newest(ImageFilter(), limit=WARM)]
    await catalog.close()
    urls = [f"{base}/api/images/{image_id}/thumb" for image_id in ids]
    headers = {"Accept": "image/avif,image/webp,*/*;q=0.8"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def request(url: str) -> None:
            async with session.get(url) as response:
                assert response.status == 200
                await response.read()

        for url in urls:
            await request(url)
        before, tasks, start = await buckets(session, base), [], time.monotonic()
        for number in range(BY_ID_RATE * BY_ID_S):
            await asyncio.sleep(max(0.0, start + number / BY_ID_RATE - time.monotonic()))
            tasks.append(asyncio.create_task(request(random.choice(urls))))
        await asyncio.gather(*tasks)
        rate = len(tasks) / (time.monotonic() - start)
        after = await buckets(session, base)
    total = after["+Inf"] - before["+Inf"]
    shares = {bound: (after[bound] - before[bound]) / total for bound in BOUNDS_S}
    text = ", ".join(f"{share:.1%} under {bound} s" for bound, share in shares.items())
    print(f"\nby id, warm, {rate:.0f} requests/s, measured by the server: {text}")
    median_bound = next((float(bound) for bound, share in shares.items() if share >= 0.5), math.inf)
    results.figures("by id", requests_per_s=rate, median_at_most_ms=median_bound * 1000)


async def buckets(session: aiohttp.ClientSession, base: str) -> dict[str, float]:
    async with session.get(f"{base}/metrics") as response:
        text = await response.text()
    pattern = (
        r'http_request_seconds_bucket\{le="([^"]+)",route="/api/images/\{id\}/thumb",status="2xx"\} (\S+)'
    )
    return {le: float(value) for le, value in re.findall(pattern, text)}


async def main(peers: Path) -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        originals = folder / "originals"
        write_photos(originals, (4000, 3000), ROUNDS * PER_ROUND + 1)
        names = sorted(file.name for file in originals.glob("*.jpg"))
        servers = Servers(folder)
        values = {"mongo_uri": servers.mongo_uri(), **servers.s3("minio").settings}
        try:
            async with AsyncExitStack() as stack:
                with recorded("edge_variants") as results:
                    await compare(stack, peers, folder, names, values, results)
        finally:
            servers.close()


async def compare(
    stack: AsyncExitStack,
    peers: Path,
    folder: Path,
    names: list[str],
    values: dict[str, Any],
    results: Results,
) -> None:
    originals = folder / "originals"
    plain = await store_originals(originals, values, "plain", thumbs=False)
    whole = await store_originals(originals, values, "whole", thumbs=True)
    from_originals = await edge(stack, folder, values, FROM_ORIGINALS, plain)
    from_thumbs = await edge(stack, folder, values, FROM_THUMBS, whole)
    disk_only = await edge(stack, folder, values, DISK_ONLY, plain, edge_memory_bytes=0)
    others = [
        await stack.enter_async_context(start(peers, folder, originals))
        for start in variant_servers.installed(peers)
    ]
    await cold([from_originals, from_thumbs, *others], names, results)
    bodies = await fetch_bodies(disk_only, names[:WARM], folder / "bodies")
    reference = await stack.enter_async_context(variant_servers.bare(bodies))
    await warm([reference, from_originals, disk_only, *others], names, folder, results)
    await by_id(from_thumbs, values | whole.settings, results)


async def fetch_bodies(server: Peer, names: list[str], folder: Path) -> Path:
    """Write the server's variants of these files into a new folder, for the bare handler; the folder."""
    folder.mkdir()
    async with aiohttp.ClientSession() as session:
        for name in names:
            async with session.get(server.url(name)) as response:
                (folder / name).write_bytes(await response.read())
    return folder


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".bench/peers")))
