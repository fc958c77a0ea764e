"""Originals through the edge, with both S3 servers: every response conforms to RFC 9110."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from aiohttp import ClientResponse, ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from tagify.catalog import Catalog, MoveImage
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support.originals import Client, ListedOriginal, list_original, running_edge
from tests.support.request_strategies import requests
from tests.support.rfc9110 import ModelResponse, expected_response
from tests.support.waiting import until

IMMUTABLE = "public, max-age=31536000, immutable"
LENGTH = 150_000
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def edge_settings(mongo_values: Values, s3_values: Values, tmp_path: Path) -> EdgeSettings:
    return EdgeSettings(**mongo_values, **s3_values, edge_cache_dir=tmp_path / "cache", s3_timeout_s=5)


@pytest.fixture
async def client(edge_settings: EdgeSettings) -> AsyncIterator[Client]:
    async with running_edge(edge_settings) as running:
        yield running


@pytest.fixture
async def image(catalog: Catalog, blobs: ObjectStore) -> ListedOriginal:
    return await list_original(catalog, blobs, LENGTH)


async def parts_of(response: ClientResponse) -> tuple[bytes, ...]:
    """The bodies of a response's parts; checks the headers of each."""
    body = await response.read()
    assert len(body) == int(response.headers["Content-Length"])
    kind = response.headers["Content-Type"]
    if not kind.startswith("multipart/byteranges"):
        return (body,)
    boundary = f"--{kind.partition('boundary=')[2]}".encode()
    before, *delimited, after = body.split(b"\r\n" + boundary)
    assert (before, after) == (b"", b"--\r\n")
    bodies = []
    for part in delimited:
        head, _, data = part.partition(b"\r\n\r\n")
        fields = dict(line.split(": ") for line in head.decode().strip().split("\r\n"))
        first, _, last = (
            fields["Content-Range"].removeprefix("bytes ").removesuffix(f"/{LENGTH}").partition("-")
        )
        assert int(last) - int(first) + 1 == len(data)
        assert fields["Content-Type"] == "image/jpeg"
        bodies.append(data)
    return tuple(bodies)


@pytest.mark.parametrize("by", ["by_content", "by_id"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_every_response_conforms_to_the_rfc(
    client: Client, image: ListedOriginal, by: str, data: st.DataObject
) -> None:
    path = getattr(image, by)
    modified = await modified_of(client, path)
    async with client.head(path) as response:
        tag = response.headers["ETag"].strip('"')
    request = data.draw(requests(LENGTH, tag, modified))
    expected = expected_response(request, LENGTH, tag, modified)
    async with client.request(request.method, path, headers=request.headers()) as response:
        assert response.status == expected.status
        if request.method == "HEAD" or expected.status not in (200, 206):
            assert response.headers.get("Content-Length") == (
                str(LENGTH) if expected.status == 200 else None
            ) or (expected.status in (412, 416))
        else:
            assert await parts_of(response) == bodies(image, expected)
        if len(expected.ranges) == 1 and expected.status == 206:
            first, last = expected.ranges[0][0], expected.ranges[0][-1]
            assert response.headers["Content-Range"] == f"bytes {first}-{last}/{LENGTH}"
        if expected.status == 416:
            assert response.headers["Content-Range"] == f"bytes */{LENGTH}"
        if expected.status < 400:
            assert response.headers["ETag"] == f'"{tag}"'
            assert tag.startswith(image.content)


async def modified_of(client: Client, path: str) -> datetime:
    """The Last-Modified header, once it is sent."""

    async def last_modified() -> str | None:
        async with client.head(path) as response:
            assert response.status == 200
            return response.headers.get("Last-Modified")

    text = await until(last_modified)
    assert text
    return parsedate_to_datetime(text)


def bodies(image: ListedOriginal, expected: ModelResponse) -> tuple[bytes, ...]:
    return tuple(image.data[part[0] : part[-1] + 1] for part in expected.ranges)


async def test_head_has_the_headers_of_get(client: Client, image: ListedOriginal) -> None:
    for path in (image.by_content, image.by_id, f"{image.by_id}?download=1&v={image.content}"):
        await modified_of(client, path)
        async with client.get(path) as get:
            assert await get.read() == image.data
        async with client.head(path) as head:
            changing = ("Date", "Server-Timing", "X-Request-ID")
            assert {name: value for name, value in head.headers.items() if name not in changing} == {
                name: value for name, value in get.headers.items() if name not in changing
            }


async def test_response_has_security_headers_and_server_timing(client: Client, image: ListedOriginal) -> None:
    async with client.get(image.by_content, headers={"Range": "bytes=0-0"}) as response:
        assert response.headers["Cache-Control"] == IMMUTABLE
        assert response.headers["Content-Type"] == "image/jpeg"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in response.headers["Content-Security-Policy"]
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-site"
        assert "catalog;dur=" in response.headers["Server-Timing"]
        assert "s3;dur=" in response.headers["Server-Timing"]


@pytest.mark.parametrize("mime", ["image/svg+xml", "text/html", "application/pdf"])
async def test_active_content_is_sent_as_octet_stream(
    client: Client, catalog: Catalog, blobs: ObjectStore, mime: str
) -> None:
    image = await list_original(catalog, blobs, 100, mime=mime)
    for path in (image.by_content, image.by_id):
        async with client.get(path) as response:
            assert response.headers["Content-Type"] == "application/octet-stream"
            assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_empty_original_has_an_empty_body(client: Client, catalog: Catalog, blobs: ObjectStore) -> None:
    image = await list_original(catalog, blobs, 0)
    async with client.get(image.by_content) as response:
        assert (response.status, await response.read()) == (200, b"")
    async with client.get(image.by_content, headers={"Range": "bytes=0-"}) as response:
        assert (response.status, response.headers["Content-Range"]) == (416, "bytes */0")


async def test_each_response_needs_one_request_to_the_store(client: Client, image: ListedOriginal) -> None:
    async with client.get(image.by_content) as response:
        await response.read()
    async with client.get(image.by_id, headers={"Range": "bytes=5-9"}) as response:
        await response.read()
    async with client.get(image.by_content, headers={"If-None-Match": f'"{image.content}"'}) as response:
        assert response.status == 304
    async with client.get("/metrics") as response:
        page = await response.text()
    assert 'edge_upstream_seconds_count{method="GET"} 2' in page
    assert 'edge_upstream_seconds_count{method="HEAD"} 0' in page
    assert f"edge_bytes_in_total {LENGTH + 5}" in page
    assert f"edge_bytes_out_total {LENGTH + 5}" in page


async def test_renamed_file_is_not_served_from_a_cache_under_its_old_name(
    client: Client, catalog: Catalog, image: ListedOriginal
) -> None:
    async with client.get(image.by_id) as response:
        etag = response.headers["ETag"]
    async with client.get(image.by_id, headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    (entry,) = await catalog.images.by_content(image.content)
    await catalog.images.write([MoveImage(entry, entry.library_id, replace(entry.file, path="new name.jpg"))])

    async def renamed() -> bool:
        async with client.get(image.by_id, headers={"If-None-Match": etag}) as response:
            return response.status == 200 and "new%20name.jpg" in response.headers["Content-Disposition"]

    await until(renamed)
    async with client.get(image.by_id, headers={"Range": "bytes=0-9", "If-Range": etag}) as response:
        assert (response.status, await response.read()) == (200, image.data)


async def test_last_modified_is_sent_once_its_second_is_over(client: Client, image: ListedOriginal) -> None:
    since = {"If-Modified-Since": "Fri, 31 Dec 2100 00:00:00 GMT"}
    async with client.get(image.by_id, headers=since) as response:
        assert (response.status, await response.read()) == (304, b"")
    assert await modified_of(client, image.by_id) > LONG_AGO


async def test_presigned_mode_redirects_to_the_store(
    edge_settings: EdgeSettings, image: ListedOriginal
) -> None:
    async with running_edge(edge_settings, media_mode="presigned") as client:
        for path, kind in ((image.by_content, None), (f"{image.by_id}?download=1", "attachment; filename=")):
            async with client.get(path, allow_redirects=False) as response:
                assert response.status == 307
                assert response.headers["Cache-Control"].startswith(("private", "no-store"))
                url = URL(response.headers["Location"], encoded=True)
            async with (
                ClientSession() as session,
                session.get(url, headers={"Range": "bytes=5-9"}) as response,
            ):
                assert (response.status, await response.read()) == (206, image.data[5:10])
                assert response.headers["Content-Type"] == "image/jpeg"
                assert kind is None or response.headers["Content-Disposition"].startswith(kind)
            async with client.head(path) as response:
                assert (response.status, response.headers["Content-Length"]) == (200, str(LENGTH))


async def test_cors_origins_may_read_originals(edge_settings: EdgeSettings, image: ListedOriginal) -> None:
    origin = "https://photos.example.org"
    async with running_edge(edge_settings, cors_origins=(origin,)) as client:
        for path in (image.by_content, image.by_id, "/media/nonsense/original"):
            async with client.get(path, headers={"Origin": origin, "Range": "bytes=0-1"}) as response:
                assert response.headers["Access-Control-Allow-Origin"] == origin
                assert "Content-Range" in response.headers["Access-Control-Expose-Headers"]
                assert response.headers.getall("Vary") == ["Origin"]
            async with client.get(path, headers={"Origin": "https://elsewhere.example"}) as response:
                assert "Access-Control-Allow-Origin" not in response.headers
