"""The edge as a process: large originals arrive unchanged in constant memory; fast path and routes agree."""

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tagify.catalog import Catalog
from tagify.model import Bucket, Content
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support import pictures
from tests.support.catalog_fixtures import insert_stored_image
from tests.support.edge_process import RunningEdge, edge_process
from tests.support.originals import list_original
from tests.support.waiting import until

BLOCK = 1 << 20
HUGE = 500
"""Size of the huge original, in megabytes."""

CLIENTS = 20
MAX_GROWTH_MB = 64


@pytest.fixture
async def running(mongo_values: Values, s3_values: Values, tmp_path: Path) -> AsyncIterator[RunningEdge]:
    async with edge_process({**mongo_values, **s3_values}, tmp_path) as rendered:
        yield rendered


async def test_large_originals_arrive_unchanged(
    running: RunningEdge, catalog: Catalog, blobs: ObjectStore
) -> None:
    image = await list_original(catalog, blobs, 12_000_000)

    async def check(session: aiohttp.ClientSession, first: int) -> None:
        headers = {"Range": f"bytes={first}-"} if first else {}
        async with session.get(image.by_content, headers=headers) as response:
            assert response.status == (206 if first else 200)
            assert await response.read() == image.data[first:]

    async with aiohttp.ClientSession(running.url) as session:
        for round_ in range(3):
            await asyncio.gather(*(check(session, number * 1_200_001 * round_) for number in range(5)))


PER_RESPONSE = {"X-Request-ID", "Date"}
"""Headers that differ in every response."""


@pytest.mark.parametrize("s3", ["minio"], indirect=True)
@pytest.mark.parametrize("origins", ["", "https://pages.example"], ids=["alone", "other origins"])
@pytest.mark.parametrize(("layer", "memory"), [("memory", 64 << 20), ("disk", 0)], ids=["memory", "disk"])
async def test_fast_path_sends_the_response_of_the_routes(
    mongo_values: Values,
    s3_values: Values,
    catalog: Catalog,
    blobs: ObjectStore,
    tmp_path: Path,
    origins: str,
    layer: str,
    memory: int,
) -> None:
    image = await insert_stored_image(catalog, blobs, pictures.jpeg(900, 600))
    path = f"/media/{image.content}/320.webp"
    values = {**mongo_values, **s3_values, "edge_memory_bytes": memory}
    values |= {"cors_origins": origins} if origins else {}
    async with edge_process(values, tmp_path) as running, aiohttp.ClientSession(running.url) as session:

        async def fetch(**headers: str) -> tuple[dict[str, str], bytes]:
            async with session.get(path, headers=headers) as response:
                assert response.status == 200
                headers_sent = {
                    name: text for name, text in response.headers.items() if name not in PER_RESPONSE
                }
                by_fast_path.append(list(response.headers)[-1] == "Date")
                return headers_sent, await response.read()

        async def metrics() -> str:
            async with session.get("/metrics") as response:
                return await response.text()

        async def stored() -> bool:
            return 'edge_cache_writes_total{outcome="kept"} 1' in await metrics()

        by_fast_path: list[bool] = []  # it sends the Date header last, unlike a route
        rendered = await fetch()
        await until(stored)
        assert await fetch() == rendered
        async with session.get(path, headers={"X-Request-ID": "named-by-client"}) as response:
            assert response.headers["X-Request-ID"] == "named-by-client"
        with_origin, body = await fetch(Origin="https://pages.example")
        assert body == rendered[1]
        assert by_fast_path == [False, True, False]
        assert with_origin.get("Access-Control-Allow-Origin") == (origins or None)
        assert f'edge_variant_answers_total{{layer="{layer}"}} 3' in await metrics()


@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_head_between_fast_path_responses_has_no_body(
    running: RunningEdge, catalog: Catalog, blobs: ObjectStore
) -> None:
    image = await insert_stored_image(catalog, blobs, pictures.jpeg(900, 600))
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    bodies = []
    for method in ("GET", "GET", "HEAD", "GET"):
        writer.write(f"{method} /media/{image.content}/320.webp HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        bodies.append(await reader.readexactly(length_of(head)) if method == "GET" else b"")
    assert bodies[0] == bodies[1] == bodies[3] != bodies[2]
    writer.close()


@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_memory_hit_during_shutdown_has_connection_close(
    running: RunningEdge, catalog: Catalog, blobs: ObjectStore, tmp_path: Path
) -> None:
    image = await insert_stored_image(catalog, blobs, pictures.jpeg(900, 600))
    request = f"GET /media/{image.content}/320.webp HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    for _ in range(2):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Connection: close" not in head
        await reader.readexactly(length_of(head))
    os.kill(running.pid, signal.SIGTERM)
    await until(lambda: log_contains(tmp_path / "edge.log", "stopping"))
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in head
    writer.close()


def length_of(head: bytes) -> int:
    return int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])


async def log_contains(log: Path, text: str) -> bool:
    return text in log.read_text()


def memory_mb(pid: int) -> float:
    """Proportional set size of the process, in megabytes."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("Pss:")[1].split()[0]) / 1024


@pytest.mark.slow
@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_huge_original_needs_little_memory_with_many_clients(
    running: RunningEdge, blobs: ObjectStore, tmp_path: Path
) -> None:
    path, digest = tmp_path / "huge", hashlib.sha256()
    with path.open("wb") as out:
        for number in range(HUGE):
            block = hashlib.shake_128(number.to_bytes(4, "big")).digest(1024) * (BLOCK // 1024)
            digest.update(block)
            out.write(block)
    content = Content(digest.hexdigest())
    with path.open("rb") as stream:
        await blobs.upload_stream(Bucket.ORIGINALS, content, stream, HUGE * BLOCK, "image/tiff")
    path.unlink()

    async def read(session: aiohttp.ClientSession) -> int:
        received = 0
        async with session.get(f"/media/{content}/original") as response:
            async for chunk in response.content.iter_any():
                received += len(chunk)
        return received

    before = peak = memory_mb(running.pid)
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(running.url, connector=connector, timeout=timeout) as session:
        reading = asyncio.gather(*(read(session) for _ in range(CLIENTS)))
        while not reading.done():
            peak = max(peak, memory_mb(running.pid))
            await asyncio.sleep(0.1)
        assert set(await reading) == {HUGE * BLOCK}
    assert peak - before < MAX_GROWTH_MB
