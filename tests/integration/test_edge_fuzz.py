"""Fuzzed requests: each gets a response in time, never a 5xx status."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagify.catalog import Catalog
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support.originals import Client, ListedOriginal, list_original, running_edge

# One S3 server is enough: these tests do not depend on it.
pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)
FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FIELDS = ["Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"]
FIELDS += ["Accept", "Accept-Encoding", "Origin", "X-Request-ID", "Host", "Connection", "Content-Length"]
VALUE_PARTS = [
    "bytes=",
    "0-",
    "-5",
    "1-2",
    ",",
    '"',
    "W/",
    "*",
    "a" * 64,
    "Fri, 02 Jan 2026 03:04:05 GMT",
    "q=0.5",
]
VALUES = st.one_of(
    st.lists(st.sampled_from(VALUE_PARTS), max_size=8).map("".join),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=60),
)
PATH_SEGMENTS = [
    "media",
    "api",
    "images",
    "thumb",
    "file",
    "original",
    "a" * 64,
    "b" * 24,
    "160.webp",
    "160.x",
]
PATH_SEGMENTS += ["..", "%2e%2e", "%00", "%ff", "", "?v=", "?download=1", "99999.jpg", "00160.webp", "%F0%28"]
PATHS = st.one_of(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=60).map("/{}".format),
    st.lists(st.sampled_from(PATH_SEGMENTS), max_size=6).map(lambda segments: "/" + "/".join(segments)),
)


@pytest.fixture
async def client(mongo_values: Values, s3_values: Values, tmp_path: Path) -> AsyncIterator[Client]:
    edge_settings = EdgeSettings(**mongo_values, **s3_values, edge_cache_dir=tmp_path / "cache")
    # aiohttp waits for an announced request body before it closes the connection: keep that short.
    async with running_edge(edge_settings, lingering_time=0.1) as client:
        yield client


@pytest.fixture
async def image(catalog: Catalog, blobs: ObjectStore) -> ListedOriginal:
    return await list_original(catalog, blobs, 1000)


async def status(client: Client, head: str) -> int:
    """The status of the response; 0 where the connection is closed without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    try:
        async with asyncio.timeout(30):
            writer.write(f"{head}Connection: close\r\n\r\n".encode("latin-1"))
            line = await reader.readline()
            await reader.read()
    finally:
        writer.close()
    return int(line.split()[1]) if line else 0


@FUZZ
@given(method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "BREW"]), path=PATHS)
async def test_any_path_is_no_server_error(client: Client, method: str, path: str) -> None:
    assert await status(client, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n") < 500


@FUZZ
@given(fields=st.lists(st.tuples(st.sampled_from(FIELDS), VALUES), max_size=4), by=st.booleans())
async def test_any_headers_are_no_server_error(
    client: Client, image: ListedOriginal, fields: list[tuple[str, str]], by: bool
) -> None:
    head = f"GET {image.by_id if by else image.by_content} HTTP/1.1\r\nHost: localhost\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields)
    assert await status(client, head) < 500


@FUZZ
@given(text=st.text(st.characters(max_codepoint=0xFF), max_size=200))
async def test_any_bytes_are_no_server_error(client: Client, text: str) -> None:
    assert await status(client, f"{text}\r\n") < 500
