"""The edge as it is run: large originals pass unchanged, and cost it next to no memory."""

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
"""Megabytes of the huge original."""

CLIENTS = 20
MOST_MB = 64


@pytest.fixture
async def running(mongo_values: Values, s3_values: Values, tmp_path: Path) -> AsyncIterator[RunningEdge]:
    async with edge_process({**mongo_values, **s3_values}, tmp_path) as made:
        yield made


async def test_large_originals_pass_unchanged(
    running: RunningEdge, catalog: Catalog, blobs: ObjectStore
) -> None:
    image = await list_original(catalog, blobs, 12_000_000)

    async def same(session: aiohttp.ClientSession, first: int) -> None:
        headers = {"Range": f"bytes={first}-"} if first else {}
        async with session.get(image.by_content, headers=headers) as response:
            assert response.status == (206 if first else 200)
            assert await response.read() == image.data[first:]

    async with aiohttp.ClientSession(running.url) as session:
        for round_ in range(3):
            await asyncio.gather(*(same(session, number * 1_200_001 * round_) for number in range(5)))


OWN = {"X-Request-ID", "Date"}
"""Headers that each answer has of its own."""


@pytest.mark.parametrize("s3", ["minio"], indirect=True)
@pytest.mark.parametrize("origins", ["", "https://pages.example"], ids=["alone", "other origins"])
@pytest.mark.parametrize(("layer", "memory"), [("memory", 64 << 20), ("disk", 0)], ids=["memory", "disk"])
async def test_what_is_at_hand_is_answered_as_the_routes_answer(
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

        async def asked(**headers: str) -> tuple[dict[str, str], bytes]:
            async with session.get(path, headers=headers) as response:
                assert response.status == 200
                named = {name: text for name, text in response.headers.items() if name not in OWN}
                doors.append(list(response.headers)[-1] == "Date")
                return named, await response.read()

        async def metrics() -> str:
            async with session.get("/metrics") as response:
                return await response.text()

        async def stored() -> bool:
            return 'edge_cache_writes_total{outcome="kept"} 1' in await metrics()

        doors: list[bool] = []  # a route's answers have another order of headers
        made = await asked()
        await until(stored)
        assert await asked() == made
        async with session.get(path, headers={"X-Request-ID": "named-by-client"}) as response:
            assert response.headers["X-Request-ID"] == "named-by-client"
        with_origin, body = await asked(Origin="https://pages.example")
        assert body == made[1]
        assert doors == [False, True, False]
        assert with_origin.get("Access-Control-Allow-Origin") == (origins or None)
        assert f'edge_variant_answers_total{{layer="{layer}"}} 3' in await metrics()


@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_a_head_between_answers_at_hand_has_no_body(
    running: RunningEdge, catalog: Catalog, blobs: ObjectStore
) -> None:
    image = await insert_stored_image(catalog, blobs, pictures.jpeg(900, 600))
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    bodies = []
    for method in ("GET", "GET", "HEAD", "GET"):
        writer.write(f"{method} /media/{image.content}/320.webp HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        bodies.append(await reader.readexactly(length_of(head)) if method == "GET" else b"")
    assert bodies[0] == bodies[1] == bodies[3] != bodies[2]
    writer.close()


@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_what_is_in_memory_tells_that_the_edge_ends(
    running: RunningEdge, catalog: Catalog, blobs: ObjectStore, tmp_path: Path
) -> None:
    image = await insert_stored_image(catalog, blobs, pictures.jpeg(900, 600))
    request = f"GET /media/{image.content}/320.webp HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    for _ in range(2):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Connection: close" not in head
        await reader.readexactly(length_of(head))
    os.kill(running.pid, signal.SIGTERM)
    await until(lambda: said(tmp_path / "edge.log", "stopping"))
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in head
    writer.close()


def length_of(head: bytes) -> int:
    return int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])


async def said(log: Path, word: str) -> bool:
    return word in log.read_text()


def memory_mb(pid: int) -> float:
    """Memory that is the process's own, as the kernel shares it out."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("Pss:")[1].split()[0]) / 1024


@pytest.mark.slow
@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_a_huge_original_costs_little_memory_whoever_reads_it(
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
        got = 0
        async with session.get(f"/media/{content}/original") as response:
            async for chunk in response.content.iter_any():
                got += len(chunk)
        return got

    before = most = memory_mb(running.pid)
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(running.url, connector=connector, timeout=timeout) as session:
        reading = asyncio.gather(*(read(session) for _ in range(CLIENTS)))
        while not reading.done():
            most = max(most, memory_mb(running.pid))
            await asyncio.sleep(0.1)
        assert set(await reading) == {HUGE * BLOCK}
    assert most - before < MOST_MB
