"""S3 endpoints as people write them: signed as clients send the Host header; readiness notices a refusal."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import Unavailable
from tagify.model import Bucket, Content
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support.ports import free_ports

HOST = "127.0.83.80"
"""A loopback address that no other test listens on at port 80."""


@asynccontextmanager
async def forwarded(host: str, port: int, target: int) -> AsyncIterator[None]:
    """Forward TCP connections to a port of 127.0.0.1."""

    connections: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", target)
        try:
            await asyncio.gather(
                copy(reader, inner_writer), copy(inner_reader, writer), return_exceptions=True
            )
        finally:
            for each in (writer, inner_writer):
                each.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(serve(reader, writer))
        connections.add(connection)
        connection.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, host, port)
    try:
        yield
    finally:
        server.close()
        await cancel_and_wait(*connections)
        await asyncio.sleep(0)  # aborted transports close their sockets in the next step of the loop


@pytest.mark.skipif(os.geteuid() != 0, reason="port 80 needs root")
@pytest.mark.parametrize(
    "spelling", ["http://{}:80", "HTTP://{}:80/", "http://{}", "http://{}:", "http://{}:080"]
)
async def test_an_endpoint_with_the_default_port_works(
    s3_values: Values, blobs: ObjectStore, tmp_path: Path, spelling: str
) -> None:
    content = Content("ab" * 32)
    await blobs.upload(Bucket.THUMBS, content, b"thumb", "image/webp")
    values = s3_values | {"s3_endpoint": spelling.format(HOST)}
    store = ObjectStore(EdgeSettings(**values, edge_cache_dir=tmp_path))
    target = urlsplit(str(s3_values["s3_endpoint"])).port
    assert target is not None
    try:
        async with forwarded(HOST, 80, target), aiohttp.ClientSession() as session:
            await store.ping()
            url = store.presign(Bucket.THUMBS, content, timedelta(minutes=1))
            async with session.get(url) as response:
                assert (response.status, await response.read()) == (200, b"thumb")
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("https://S3.Example.org:443", "https://s3.example.org"),
        ("https://s3.example.org:80", "https://s3.example.org:80"),
        ("http://[::1]:80/", "http://[::1]"),
        ("http://[::1]:9000", "http://[::1]:9000"),
    ],
)
def test_the_default_port_is_left_out(written: str, normal: str) -> None:
    settings = EdgeSettings(s3_endpoint=written, s3_public_endpoint=written, cors_origins=(written,))
    assert settings.s3_endpoint == settings.s3_public_endpoint == normal
    assert settings.cors_origins == (normal,)


async def test_readiness_notices_a_refused_signature(
    s3_values: Values, blobs: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del blobs
    store = ObjectStore(EdgeSettings(**s3_values, edge_cache_dir=tmp_path, edge_port=free_ports()))
    try:
        await store.ping()
        signed = store.presign
        monkeypatch.setattr(store, "presign", lambda *arguments: signed(*arguments)[:-1] + "!")
        with pytest.raises(Unavailable, match="refuses pre-signed URLs"):
            await store.ping()
    finally:
        await store.close()
