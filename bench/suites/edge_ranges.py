"""Originals through the edge beside the S3 server asked directly.

`python -m bench.suites.edge_ranges [minio|seaweedfs]`.

One original of 500 MB, all sides in turns: the first byte of random ranges of 64 KB, one at a time
and 8 at once, whole-file throughput, and the edge's memory while 20 clients read it at once. Beside the
edge stands the least that aiohttp's server with aiohttp's client can do (`bench/peers/aiohttp_relay.py`).
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
ALONE, TOGETHER = 200, 100
CLIENTS = 20


@dataclass(frozen=True, slots=True)
class Side:
    """A server and the target under which it has the original."""

    name: str
    host: str
    port: int
    target: str


async def get(side: Side, span: str, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> float:
    """Seconds to the first byte of the body; the rest of it is read."""
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


async def connected(side: Side) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(side.host, side.port, limit=1 << 20)


async def first_bytes(side: Side, number: int) -> list[float]:
    """First bytes of random ranges, one after the other."""
    connection = await connected(side)
    found = []
    for _ in range(number):
        first = random.randrange(SIZE - RANGE)
        found.append(await get(side, f"bytes={first}-{first + RANGE - 1}", connection))
    connection[1].close()
    return found


async def alone(side: Side) -> list[float]:
    return await first_bytes(side, ALONE)


async def together(side: Side) -> list[float]:
    """The same, 8 at once."""
    lists = await asyncio.gather(*(first_bytes(side, TOGETHER) for _ in range(8)))
    return [one for found in lists for one in found]


async def throughput(side: Side) -> float:
    """MB a second of the whole original, as curl takes it."""
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
    """Proportional set size of the edge in MB, at rest and the highest while 20 clients read all."""
    rest = highest = pss(pid)
    clients = [asyncio.create_task(throughput(edge)) for _ in range(CLIENTS)]
    while not all(client.done() for client in clients):
        highest = max(highest, pss(pid))
        await asyncio.sleep(0.05)
    await asyncio.gather(*clients)
    return rest, highest


def pss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0]) // 1024


async def stored(settings: CommonSettings, folder: Path) -> tuple[Content, str]:
    """Store a large original; its content, and a URL of the store for it."""
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


async def in_turns(
    sides: Sequence[Side], measure: Callable[[Side], Awaitable[list[float]]]
) -> dict[str, list[float]]:
    """All that was measured, by name of the side. Each round begins with another side.

    A round before these counts for nothing: connections are made in it, code is met for the first
    time, and the disk is still busy with the original.
    """
    found: dict[str, list[float]] = {side.name: [] for side in sides}
    for side in sides:
        await measure(side)
    for number in range(ROUNDS):
        first = number % len(sides)
        for side in (*sides[first:], *sides[:first]):
            found[side.name] += await measure(side)
    return found


def show(what: str, found: dict[str, list[float]], scale: float, unit: str) -> None:
    medians = {name: statistics.median(values) for name, values in found.items()}
    for name, values in found.items():
        p95 = statistics.quantiles(values, n=20)[-1]
        print(f"{what}, {name}: median {medians[name] * scale:.2f} {unit}, p95 {p95 * scale:.2f} {unit}")
    *others, direct = medians
    for name in others:
        print(f"{what}: {name} / {direct} {medians[name] / medians[direct]:.2f}")


async def main(kind: str) -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        servers = Servers(folder / "servers")
        try:
            values: dict[str, Any] = {"mongo_uri": servers.mongo_uri(), **servers.s3(kind).settings}
            content, url = await stored(CommonSettings(**values), folder)
            async with edge_process(values, folder) as running, variant_servers.relay(url) as relayed:
                edge = side_of("edge", f"{running.url}/media/{content}/original")
                relay, direct = side_of("bare relay", relayed), side_of("direct", url)
                sides = (edge, relay, direct)
                print(f"S3 server: {kind}")
                show(
                    "first byte alone",
                    await in_turns(sides, lambda side: first_bytes(side, ALONE)),
                    1e3,
                    "ms",
                )
                show("first byte, 8 at once", await in_turns(sides, together), 1e3, "ms")
                show("whole", await in_turns((edge, direct), whole), 1, "MB/s")
                rest, highest = await memory(edge, running.pid)
                print(
                    f"memory of the edge: {rest} MB at rest, {highest} MB with {CLIENTS} clients reading all"
                )
        finally:
            servers.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "minio"))
