"""The edge with a real catalog and both S3 servers: variants, originals, ranges, errors."""

import asyncio
import hashlib
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from PIL import Image as Pixels

from edge.app import build
from tagify.catalog import Catalog
from tagify.model import Bucket, Content, Image
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support import pictures
from tests.support.catalog_fixtures import insert_stored_image

Client = TestClient[Any, Any]
MakeClient = Callable[..., Awaitable[Client]]
NAME = 'sea "side" – Küste.jpg'
IMMUTABLE = "public, max-age=31536000, immutable"


@dataclass
class Stored:
    """An image stored as by ingest."""

    image: Image
    data: bytes
    content: Content


@pytest.fixture
async def stored(catalog: Catalog, blobs: ObjectStore) -> Stored:
    data = pictures.jpeg(1200, 800)
    image = await insert_stored_image(catalog, blobs, data, f"sub/{NAME}", root="/srv/test")
    assert image.content is not None
    return Stored(image, data, image.content)


@pytest.fixture
def edge_settings(mongo_values: Values, s3_values: Values, tmp_path: Path) -> EdgeSettings:
    return EdgeSettings(**mongo_values, **s3_values, edge_cache_dir=tmp_path / "cache", s3_timeout_s=2)


@pytest.fixture
async def client(aiohttp_client: MakeClient, edge_settings: EdgeSettings) -> Client:
    return await aiohttp_client(build(edge_settings))


@pytest.mark.parametrize(("ending", "kind"), [("webp", "WEBP"), ("jpg", "JPEG"), ("avif", "AVIF")])
async def test_variants_have_their_width_and_format(
    client: Client, stored: Stored, ending: str, kind: str
) -> None:
    for width, expected in ((160, 160), (768, 768), (1600, 1200)):
        async with client.get(f"/media/{stored.content}/{width}.{ending}") as response:
            body = await response.read()
            assert response.status == 200, body
            assert response.headers["Cache-Control"] == IMMUTABLE
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            etag = response.headers["ETag"]
        picture = Pixels.open(io.BytesIO(body))
        assert (picture.format, picture.width) == (kind, expected)
        async with client.get(
            f"/media/{stored.content}/{width}.{ending}", headers={"If-None-Match": etag}
        ) as again:
            assert again.status == 304
        async with client.head(f"/media/{stored.content}/{width}.{ending}") as head:
            assert (head.status, head.headers["Content-Length"]) == (200, str(len(body)))


@pytest.mark.parametrize(
    "path",
    ["161.webp", "160.gif", "160.webp.php", "original/more", "../../etc/passwd", "%2e%2e%2foriginal"],
)
async def test_unknown_names_are_404(client: Client, stored: Stored, path: str) -> None:
    async with client.get(f"/media/{stored.content}/{path}") as response:
        assert response.status == 404
        if path == "161.webp":
            detail = (await response.json(content_type=None))["detail"]
            assert "160, 320, 512, 768, 1024, 1600, 2048, 3072" in detail
    async with client.get("/media/nonsense/160.webp") as response:
        assert response.status == 404


async def test_unknown_content_is_404(client: Client) -> None:
    for name in ("160.webp", "original"):
        async with client.get(f"/media/{'0' * 64}/{name}") as response:
            assert response.status == 404
            assert (await response.json(content_type=None))["type"] == "urn:tagify:problem:not-found"


async def test_original_is_sent_whole_and_by_range(client: Client, stored: Stored) -> None:
    path, size = f"/media/{stored.content}/original", len(stored.data)
    async with client.get(path) as response:
        assert await response.read() == stored.data
        assert response.headers["ETag"] == f'"{stored.content}"'
        assert response.headers["Accept-Ranges"] == "bytes"
        assert response.headers["Content-Type"] == "image/jpeg"
        modified = response.headers["Last-Modified"]
    for header, part in (
        ("bytes=0-0", slice(0, 1)),
        ("bytes=100-199", slice(100, 200)),
        ("bytes=-7", slice(-7, None)),
        (f"bytes={size - 5}-{size + 99}", slice(size - 5, None)),
    ):
        async with client.get(path, headers={"Range": header}) as response:
            body = await response.read()
            assert (response.status, body) == (206, stored.data[part])
            first, last, _ = part.indices(size)
            assert response.headers["Content-Range"] == f"bytes {first}-{last - 1}/{size}"
    async with client.get(path, headers={"Range": f"bytes={size}-"}) as response:
        assert (response.status, response.headers["Content-Range"]) == (416, f"bytes */{size}")
    for condition, status in ((f'"{stored.content}"', 206), (modified, 206), ('"other"', 200)):
        async with client.get(path, headers={"Range": "bytes=0-1", "If-Range": condition}) as response:
            assert response.status == status
            assert await response.read() == (stored.data[:2] if status == 206 else stored.data)
    async with client.head(path, headers={"Range": "bytes=0-1"}) as response:
        assert (response.status, response.headers["Content-Length"]) == (200, str(size))


async def test_thumb_by_id_is_immutable_only_with_the_content_as_v_and_a_file_never(
    client: Client, stored: Stored
) -> None:
    for kind, with_content in (("thumb", IMMUTABLE), ("file", "no-cache")):
        path = f"/api/images/{stored.image.id}/{kind}"
        for query, expected in (
            ("", "no-cache"),
            ("?v=other", "no-cache"),
            (f"?v={stored.content}", with_content),
        ):
            async with client.get(path + query) as response:
                assert (response.status, response.headers["Cache-Control"]) == (200, expected)
                etag = response.headers["ETag"]
        async with client.get(path, headers={"If-None-Match": etag}) as response:
            assert response.status == 304
    async with client.get(f"/api/images/{stored.image.id}/file?download=1") as response:
        header = response.headers["Content-Disposition"]
        assert header.startswith(
            "attachment; filename=\"sea _side_ _ K_ste.jpg\"; filename*=UTF-8''sea%20%22"
        )


async def test_thousand_concurrent_requests_are_one_fetch_and_one_render(
    client: Client, stored: Stored
) -> None:
    async def fetch() -> bytes:
        async with client.get(f"/media/{stored.content}/1024.webp") as response:
            assert response.status == 200
            return await response.read()

    bodies = await asyncio.gather(*(fetch() for _ in range(1000)))
    assert len(set(bodies)) == 1
    async with client.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    assert 'edge_encode_seconds_count{format="webp"} 1.0' in lines
    assert 'edge_upstream_seconds_count{method="GET"} 1.0' in lines
    assert 'edge_variant_answers_total{layer="made"} 1' in lines


async def test_thumb_is_the_source_if_wide_enough(client: Client, stored: Stored) -> None:
    variants = [f"/media/{stored.content}/{width}.jpg" for width in (512, 768)]
    for path in (*variants, f"/api/images/{stored.image.id}/thumb"):
        async with client.get(path) as response:
            assert response.status == 200
    async with client.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    for source in ("thumb", "original", "thumb_as_it_is"):
        assert f'edge_variant_sources_total{{source="{source}"}} 1' in lines


async def test_disk_cache_serves_after_a_restart_without_the_store(
    aiohttp_client: MakeClient, edge_settings: EdgeSettings, stored: Stored
) -> None:
    path = f"/media/{stored.content}/320.webp"
    first = await aiohttp_client(build(edge_settings))
    async with first.get(path) as response:
        body = await response.read()
    await first.close()
    unreachable = edge_settings.model_copy(update={"s3_endpoint": "http://127.0.0.1:1", "s3_timeout_s": 0.2})
    second = await aiohttp_client(build(unreachable))
    async with second.get(path) as response:
        assert await response.read() == body
    async with second.get(f"/media/{stored.content}/original") as response:
        assert response.status == 503
        assert "Retry-After" in response.headers
    async with second.get("/readyz") as response:
        assert response.status == 503


async def test_damaged_or_unwritable_cache_is_a_miss(
    aiohttp_client: MakeClient, edge_settings: EdgeSettings, stored: Stored, tmp_path: Path
) -> None:
    path = f"/media/{stored.content}/768.webp"
    first = await aiohttp_client(build(edge_settings))
    async with first.get(path) as response:
        body = await response.read()
    for path_in_cache in edge_settings.edge_cache_dir.rglob("*.val"):
        path_in_cache.unlink()
    async with first.get(path) as response:
        assert await response.read() == body
    await first.close()
    (tmp_path / "file").write_text("in the way")
    blocked = edge_settings.model_copy(update={"edge_cache_dir": tmp_path / "file" / "cache"})
    second = await aiohttp_client(build(blocked))
    async with second.get(path) as response:
        assert await response.read() == body


async def test_original_that_is_no_image_is_422(client: Client, blobs: ObjectStore) -> None:
    data = b"no picture at all"
    content = Content(hashlib.sha256(data).hexdigest())
    await blobs.upload(Bucket.ORIGINALS, content, data, "image/jpeg")
    async with client.get(f"/media/{content}/768.webp") as response:
        assert response.status == 422
