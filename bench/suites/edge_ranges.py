"""Originals through the edge, compared with direct requests to the S3 server.

`python -m bench.suites.edge_ranges [minio|seaweedfs]`.

One original of 500 MB, all sides interleaved: time to first byte of random ranges of 64 KB, sequential and
with 8 clients, throughput of the whole file, and the edge's memory while 20 clients read the file. The third
side is the minimum for aiohttp's server with aiohttp's client (`bench/peers/aiohttp_relay.py`).
"""

import asyncio
import hashlib
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.lib.results import Results, recorded
from bench.peers import variant_servers
from tagify.catalog import Catalog, UpsertImage
from tagify.model import Bucket, Content, FileFacts, Picture
from tagify.settings import CommonSettings
from tagify.storage.store import ObjectStore
from tests.support.edge_process import edge_process
from tests.support.servers import Servers

SIZE = 500 << 20
BLOCK = 4 << 20
RANGE = 64 << 10
ROUNDS = 6
SEQUENTIAL, CONCURRENT = 200, 100
CLIENTS = 20


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Side:
    """A server, and the request target of the original there."""

    name: str
    host: str
    port: int
    target: str


async def first_byte(
    side: Side, span: str, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> float:
    """Seconds to the first byte of the body; then reads the rest."""
    reader, writer = connection
    start = time.perf_counter()
    field = f"Range: {span}\r\n" if span else ""
    writer.write(f"GET {side.target} HTTP/1.1\r\nHost: {side.host}:{side.port}\r\n{field}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith((b"http/1.1 206", b"http/1.1 200")), head
    left = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    left -= len(await reader.read(1))
    first = time.perf_counter() - start
    while left:
        data = await reader.read(1 << 20)
        assert data, "the transfer broke"
        left -= len(data)
    return first


async def connect(side: Side) -> Connection:
    return await asyncio.open_connection(side.host, side.port, limit=1 << 20)


async def first_bytes(side: Side, number: int) -> list[float]:
    """Times to first byte of random ranges, sequentially over one connection."""
    connection = await connect(side)
    times = []
    for _ in range(number):
        first = random.randrange(SIZE - RANGE)
        times.append(await first_byte(side, f"bytes={first}-{first + RANGE - 1}", connection))
    connection[1].close()
    return times


async def sequential(side: Side) -> list[float]:
    return await first_bytes(side, SEQUENTIAL)


async def concurrent(side: Side) -> list[float]:
    """The same with 8 clients."""
    clients = await asyncio.gather(*(first_bytes(side, CONCURRENT) for _ in range(8)))
    return [time_s for times in clients for time_s in times]


async def throughput(side: Side) -> float:
    """MB per second of the whole original, read by curl."""
    url = f"http://{side.host}:{side.port}{side.target}"
    curl = await asyncio.create_subprocess_exec(
        "curl", "-sf", "-o", "/dev/null", "-w", "%{time_total}", url, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await curl.communicate()
    assert curl.returncode == 0
    return SIZE / 1e6 / float(output)


async def whole(side: Side) -> list[float]:
    return [await throughput(side)]


async def memory(edge: Side, pid: int) -> tuple[int, int]:
    """Proportional set size of the edge in MB: idle, and the peak while 20 clients read the original."""
    idle = peak = pss(pid)
    clients = [asyncio.create_task(throughput(edge)) for _ in range(CLIENTS)]
    while not all(client.done() for client in clients):
        peak = max(peak, pss(pid))
        await asyncio.sleep(0.05)
    await asyncio.gather(*clients)
    return idle, peak


def pss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0]) // 1024


async def store_original(settings: CommonSettings, folder: Path) -> tuple[Content, str]:
    """Store a large original; its content, and a pre-signed URL of the store for it."""
    path, digest = folder / "original", hashlib.sha256()
    with path.open("wb") as out:
        for _ in range(SIZE // BLOCK):
            block = os.urandom(BLOCK)
            digest.update(block)
            out.write(block)
    content = Content(digest.hexdigest())
    catalog, blobs = Catalog(settings), ObjectStore(settings)
    await catalog.ensure_indexes()
    await blobs.ensure_buckets()
    with path.open("rb") as stream:
        await blobs.upload_stream(Bucket.ORIGINALS, content, stream, SIZE, "image/tiff")
    library = await catalog.libraries.create("Bench", str(folder))
    facts = FileFacts("original.tif", SIZE, 1, 1)
    await catalog.images.write([UpsertImage(library.id, facts, content, Picture("image/tiff", 1, 1, b""))])
    url = blobs.presign(Bucket.ORIGINALS, content, timedelta(hours=1))
    await blobs.close()
    await catalog.close()
    path.unlink()
    return content, url


def side_of(name: str, url: str) -> Side:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return Side(name, parts.hostname or "", parts.port or 80, target)


async def interleaved(
    sides: Sequence[Side], measure: Callable[[Side], Awaitable[list[float]]]
) -> dict[str, list[float]]:
    """The measured values by name of the side. Each round begins with another side.

    The first round is a warm-up and is not counted: it opens connections and loads code, and the disk may
    still be writing the original.
    """
    values: dict[str, list[float]] = {side.name: [] for side in sides}
    for side in sides:
        await measure(side)
    for number in range(ROUNDS):
        first = number % len(sides)
        for side in (*sides[first:], *sides[:first]):
            values[side.name] += await measure(side)
    return values


def report(name: str, values: dict[str, list[float]], scale: float, unit: str, results: Results) -> None:
    """Print and record the medians of all sides, and their ratios to the last one, the direct requests."""
    medians = {side: statistics.median(times) * scale for side, times in values.items()}
    suffix = unit.lower().replace("/", "_per_")
    for side, times in values.items():
        p95 = statistics.quantiles(times, n=20)[-1] * scale
        results.figures(
            name, **{f"{_key(side)}_median_{suffix}": medians[side], f"{_key(side)}_p95_{suffix}": p95}
        )
        print(f"{name}, {side}: median {medians[side]:.2f} {unit}, p95 {p95:.2f} {unit}")
    *others, direct = medians
    for side in others:
        ratio = medians[side] / medians[direct]
        results.ratios(name, **{f"{_key(side)}_to_{_key(direct)}": ratio})
        print(f"{name}: {side} / {direct} {ratio:.2f}")


def _key(side: str) -> str:
    return side.replace(" ", "_")


async def measure_all(edge: Side, relay: Side, direct: Side, edge_pid: int, results: Results) -> None:
    sides = (edge, relay, direct)
    report("first byte alone", await interleaved(sides, sequential), 1e3, "ms", results)
    report("first byte, 8 clients", await interleaved(sides, concurrent), 1e3, "ms", results)
    report("whole original", await interleaved((edge, direct), whole), 1, "MB/s", results)
    idle, peak = await memory(edge, edge_pid)
    results.figures("memory of the edge", idle_mb=idle, peak_mb=peak)
    print(f"memory of the edge: {idle} MB idle, {peak} MB with {CLIENTS} clients reading the original")


async def main(kind: str) -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        servers = Servers(folder / "servers")
        try:
            values: dict[str, Any] = {"mongo_uri": servers.mongo_uri(), **servers.s3(kind).settings}
            content, url = await store_original(CommonSettings(**values), folder)
            async with edge_process(values, folder) as running, variant_servers.relay(url) as relayed:
                edge = side_of("edge", f"{running.url}/media/{content}/original")
                relay, direct = side_of("bare relay", relayed), side_of("direct", url)
                print(f"S3 server: {kind}")
                with recorded("edge_ranges") as results:
                    await measure_all(edge, relay, direct, running.pid, results)
        finally:
            servers.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "minio"))
