"""Variants under load and attack: queue, single flight, negative cache, formats, stale responses."""

import asyncio
import hashlib
import io
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

import hypothesis
import pytest
from aiohttp.test_utils import TestServer
from hypothesis import strategies as st
from PIL import Image as Pixels
from pydantic import SecretStr

from edge.app_keys import VARIANT_SERVICE
from edge.variants.key import VariantKey
from tagify.catalog import Catalog
from tagify.concurrency.circuit_breaker import FAILURE_THRESHOLD
from tagify.imaging.memory_estimate import estimate_decode_bytes
from tagify.model import Bucket, Content
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support import pictures
from tests.support.browser import browser_page
from tests.support.catalog_fixtures import insert_stored_image
from tests.support.chaos_proxy import ChaosProxy, chaos_proxy
from tests.support.originals import Client, running_edge
from tests.support.servers import BackgroundLoop
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

STORM = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"
IMG = {
    "Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "Sec-Fetch-Dest": "image",
}


@pytest.fixture
async def proxy(s3_values: Values) -> AsyncIterator[ChaosProxy]:
    async with chaos_proxy(s3_values["s3_endpoint"]) as proxy:
        yield proxy


@pytest.fixture
def settings(mongo_values: Values, s3_values: Values, proxy: ChaosProxy, tmp_path: Path) -> EdgeSettings:
    """The edge reaches the store through the proxy; tests store objects directly."""
    values = {**mongo_values, **s3_values, "s3_endpoint": proxy.endpoint}
    return EdgeSettings(**values, edge_cache_dir=tmp_path / "cache", s3_timeout_s=5, edge_workers=2)


async def store_original(blobs: ObjectStore, data: bytes) -> Content:
    content = Content(hashlib.sha256(data).hexdigest())
    await blobs.upload(Bucket.ORIGINALS, content, data, "image/jpeg")
    return content


async def metric(client: Client, name: str) -> float:
    async with client.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def metric_becomes(client: Client, name: str, expected: float) -> None:
    async def probe() -> bool:
        return await metric(client, name) == expected

    await until(probe, timeout_s=40)


@asynccontextmanager
async def request_in_background(client: Client, path: str) -> AsyncIterator["asyncio.Task[int]"]:
    """A request in the background, cancelled with the block; the task's result is the status."""

    async def fetch() -> int:
        async with client.get(path) as response:
            await response.read()
            return response.status

    task = asyncio.create_task(fetch())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_full_queue_refuses_at_once_and_cached_variants_are_served(
    settings: EdgeSettings, blobs: ObjectStore, proxy: ChaosProxy
) -> None:
    cached, slow = (
        await store_original(blobs, pictures.jpeg(700, 500)),
        await store_original(blobs, pictures.jpeg(900, 600)),
    )
    async with running_edge(settings, edge_queue_size=1, edge_memory_bytes=0) as client:
        async with client.get(f"/media/{cached}/320.webp") as response:
            assert response.status == 200
        proxy.blackhole = True
        paths = [f"/media/{slow}/{width}.webp" for width in (768, 1024, 1600)]
        async with (
            request_in_background(client, paths[0]),
            request_in_background(client, paths[1]),
            request_in_background(client, paths[2]),
        ):
            await metric_becomes(client, "edge_variants_making", 3)
            start = time.monotonic()
            async with client.get(f"/media/{slow}/2048.webp") as response:
                assert response.status == 503
                assert int(response.headers["Retry-After"]) >= 1
                assert (await response.json(content_type=None))["type"] == "urn:tagify:problem:busy"
            async with client.get(f"/media/{cached}/320.webp") as response:
                assert response.status == 200
            assert time.monotonic() - start < 3
            assert await metric(client, 'edge_variant_answers_total{layer="refused"}') == 1


async def test_render_is_cancelled_only_when_its_last_client_disconnects(
    settings: EdgeSettings, blobs: ObjectStore, proxy: ChaosProxy
) -> None:
    content = await store_original(blobs, pictures.jpeg(1200, 800))
    proxy.latency_s = 1.0
    async with running_edge(settings) as client:
        path = f"/media/{content}/768.webp"
        async with request_in_background(client, path) as remaining:
            async with request_in_background(client, path):
                await metric_becomes(client, 'edge_variant_answers_total{layer="joined"}', 1)
            assert await remaining == 200
        proxy.latency_s = 0.0
        proxy.rate = 1000
        async with request_in_background(client, f"/media/{content}/1024.webp"):
            await metric_becomes(client, "edge_variants_making", 1)
            await until_open(proxy)
        await metric_becomes(client, "edge_variants_making", 0)
        assert await metric(client, 'edge_encode_seconds_count{format="webp"}') == 1
        proxy.clear_faults()
        async with client.get(f"/media/{content}/1024.webp") as response:
            assert response.status == 200


async def until_open(proxy: ChaosProxy) -> None:
    async def probe() -> bool:
        return proxy.open_connections > 0

    await until(probe)


async def test_undecodable_original_is_cached_as_422_and_sent_as_image_to_img(
    settings: EdgeSettings, blobs: ObjectStore
) -> None:
    content = await store_original(blobs, pictures.jpeg()[:600])
    path = f"/media/{content}/768.webp"
    async with running_edge(settings) as client:
        async with client.get(path) as response:
            assert response.status == 422
            assert response.headers["Content-Type"] == "application/problem+json"
            assert "Accept" in response.headers["Vary"]
        received = await metric(client, "edge_bytes_in_total")
        for _ in range(20):
            async with client.get(path, headers=IMG) as response:
                assert response.status == 422
                assert response.headers["Content-Type"] == "image/svg+xml"
                assert response.headers["Cache-Control"] == "public, max-age=60"
                assert (await response.read()).startswith(b"<svg")
        assert await metric(client, "edge_bytes_in_total") == received


async def test_browser_renders_the_image_of_an_error(settings: EdgeSettings, blobs: ObjectStore) -> None:
    content = await store_original(blobs, b"no picture")
    async with running_edge(settings) as client, browser_page() as (page, _):
        url = str(client.make_url(f"/media/{content}/768.webp"))
        image = page.locator("img")
        # A page of another site cannot embed media.
        await page.set_content(f'<img src="{url}">')
        assert await image.evaluate("i => i.decode().then(() => true, () => false)") is False
        await page.goto(str(client.make_url("/livez")))
        await page.set_content(f'<img src="{url}">')
        await image.evaluate("i => i.decode()")
        assert await image.evaluate("i => i.naturalWidth") == 256


async def test_missing_content_is_requested_once(settings: EdgeSettings, proxy: ChaosProxy) -> None:
    async with running_edge(settings) as client:
        for _ in range(5):
            async with client.get(f"/media/{'0' * 64}/768.webp") as response:
                assert response.status == 404
        assert await metric(client, 'edge_upstream_seconds_count{method="HEAD"}') == 1


@pytest.mark.parametrize("attack", [pictures.many_scans_jpeg, pictures.decompression_bomb])
async def test_hostile_originals_are_refused_and_free_their_worker(
    settings: EdgeSettings, blobs: ObjectStore, attack: Any
) -> None:
    bad, good = await store_original(blobs, attack()), await store_original(blobs, pictures.jpeg(800, 600))
    async with running_edge(settings, edge_workers=1, edge_decode_s=2) as client:
        async with asyncio.timeout(60):
            async with (
                request_in_background(client, f"/media/{bad}/768.webp") as first,
                request_in_background(client, f"/media/{bad}/1024.webp") as second,
            ):
                await metric_becomes(client, "edge_variants_making", 2)
                async with client.get(f"/media/{good}/768.webp") as response:
                    assert response.status == 200
                assert [await first, await second] == [422, 422]
            async with client.get(f"/media/{good}/1024.webp") as response:
                assert response.status == 200


async def test_avif_has_its_own_limit_and_does_not_delay_other_formats(
    settings: EdgeSettings, blobs: ObjectStore
) -> None:
    bad, good = (
        await store_original(blobs, pictures.many_scans_jpeg()),
        await store_original(blobs, pictures.jpeg(800, 600)),
    )
    async with (
        running_edge(settings, edge_workers=2, edge_avif_workers=1, edge_decode_s=6) as client,
        request_in_background(client, f"/media/{bad}/768.avif") as slow,
        request_in_background(client, f"/media/{good}/768.avif") as queued,
    ):
        await metric_becomes(client, "edge_variants_making", 2)
        async with client.get(f"/media/{good}/768.webp") as response:
            assert response.status == 200
        assert not slow.done()
        assert not queued.done()
        assert [await slow, await queued] == [422, 200]


async def test_decoding_waits_for_memory_and_smaller_images_pass(
    settings: EdgeSettings, blobs: ObjectStore
) -> None:
    data = pictures.many_scans_jpeg()
    reserved = estimate_decode_bytes(data, max_pixels=settings.max_pixels, width=768)
    assert 64 << 20 < reserved < 96 << 20
    hostile = await store_original(blobs, data)
    large = await store_original(blobs, pictures.jpeg(3000, 3000, progressive=True))
    small = await store_original(blobs, pictures.jpeg(800, 600))
    finished: list[str] = []
    async with (
        # Two such images exceed the budget, although a worker is free for each.
        running_edge(settings, edge_workers=3, edge_decode_mb=128, edge_decode_s=6) as client,
        request_in_background(client, f"/media/{hostile}/768.webp") as first,
    ):
        await metric_becomes(client, "edge_decode_bytes", reserved)
        async with request_in_background(client, f"/media/{large}/768.webp") as second:
            await metric_becomes(client, "edge_variants_making", 2)
            first.add_done_callback(lambda _: finished.append("hostile"))
            second.add_done_callback(lambda _: finished.append("large"))
            async with client.get(f"/media/{small}/768.webp") as response:
                assert response.status == 200
            finished.append("small")
            assert [await first, await second] == [422, 200]
    assert finished == ["small", "hostile", "large"]


async def test_503_responses_of_the_store_open_the_circuit_for_thumbs_too(
    settings: EdgeSettings, catalog: Catalog, blobs: ObjectStore, proxy: ChaosProxy
) -> None:
    images = [
        await insert_stored_image(catalog, blobs, pictures.jpeg(700, 500, seed), f"{seed}.jpg")
        for seed in range(9)
    ]
    paths = [f"/api/images/{image.id}/thumb" for image in images]
    paths += [f"/media/{image.content}/320.webp" for image in images]
    async with running_edge(settings, edge_queue_size=100) as client:

        async def status(path: str) -> int:
            async with client.get(path) as response:
                if response.status == 503:
                    assert int(response.headers["Retry-After"]) >= 1
                return response.status

        assert await status(paths[0]) == 200
        requests_before = await metric(client, 'edge_upstream_seconds_count{method="GET"}')
        proxy.canned_response = STORM
        await proxy.drop_connections()
        loop = asyncio.get_running_loop()
        start, rounds = loop.time(), 5
        for _ in range(rounds):
            assert set(await asyncio.gather(*map(status, paths[1:]))) == {503}
        # The concurrent requests when the circuit opened, and occasional probes.
        max_requests = len(paths) + 2 * (loop.time() - start) + 2
        assert (
            FAILURE_THRESHOLD
            <= await metric(client, 'edge_upstream_seconds_count{method="GET"}') - requests_before
            <= max_requests
        )
        refused = await metric(client, 'edge_circuit_refused_total{server="S3"}')
        assert refused >= (rounds - 1) * (len(paths) - 1) - max_requests
        assert await status(paths[0]) == 200  # a cached variant needs no server
        proxy.clear_faults()

        async def recovered() -> bool:
            return {await status(path) for path in paths} == {200}

        await until(recovered, timeout_s=60)


async def test_widths_above_the_original_share_one_cache_entry(
    settings: EdgeSettings, catalog: Catalog, blobs: ObjectStore, proxy: ChaosProxy
) -> None:
    image = await insert_stored_image(catalog, blobs, pictures.jpeg(700, 500))
    paths = [f"/media/{image.content}/{width}.webp" for width in (3072, 1024, 768, 2048)]
    async with running_edge(settings) as client:
        bodies = await asyncio.gather(*(body(client, path) for path in paths))
        assert Pixels.open(io.BytesIO(bodies[0])).size == (700, 500)
        assert len(set(bodies)) == 1
        assert await metric(client, 'edge_encode_seconds_count{format="webp"}') == 1
    sizes = [path.stat().st_size for path in settings.edge_cache_dir.rglob("*.val")]
    assert len([size for size in sizes if size > len(bodies[0])]) == 1
    proxy.refuse = True
    async with running_edge(
        settings, edge_memory_bytes=0, mongo_uri=SecretStr("mongodb://127.0.0.1:1/")
    ) as client:
        for path in paths:
            async with client.get(path) as response:
                assert (response.status, await response.read()) == (200, bodies[0])
                etag = response.headers["ETag"]
            async with client.get(path, headers={"If-None-Match": etag}) as response:
                assert response.status == 304


async def test_thumb_format_is_negotiated(
    settings: EdgeSettings, catalog: Catalog, blobs: ObjectStore
) -> None:
    image = await insert_stored_image(catalog, blobs, pictures.jpeg(1200, 800))
    path, etags = f"/api/images/{image.id}/thumb", set()
    async with running_edge(settings, edge_thumb_formats=("avif", "webp")) as client:
        for accept, kind in (
            ("image/avif,image/webp,*/*", "AVIF"),
            ("image/webp", "WEBP"),
            ("image/avif;q=0, image/webp;q=0.5", "WEBP"),
            ("*/*", "JPEG"),
            ("", "JPEG"),
            ("image/webp;q=nonsense", "JPEG"),
        ):
            async with client.get(path, headers={"Accept": accept}) as response:
                assert response.status == 200
                assert response.headers["Vary"] == "Accept"
                picture = Pixels.open(io.BytesIO(await response.read()))
                assert (picture.format, picture.size) == (kind, (512, 341))
                etags.add(response.headers["ETag"])
            async with client.get(
                path, headers={"Accept": accept, "If-None-Match": response.headers["ETag"]}
            ) as again:
                assert (again.status, again.headers["Vary"]) == (304, "Accept")
        assert len(etags) == 3
        assert await metric(client, 'edge_variant_sources_total{source="thumb_as_it_is"}') == 1


async def test_cached_page_is_served_with_both_servers_down(
    settings: EdgeSettings,
    catalog: Catalog,
    blobs: ObjectStore,
    proxy: ChaosProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = [
        await insert_stored_image(catalog, blobs, pictures.jpeg(700, 500, seed), f"{seed}.jpg")
        for seed in range(3)
    ]
    uri = settings.mongo_uri.get_secret_value()
    address = urlsplit(uri).netloc.rpartition("@")[2]
    async with chaos_proxy(f"http://{address}") as mongo:
        proxied_uri = SecretStr(uri.replace(address, f"127.0.0.1:{mongo.port}"))
        changes: Values = {"mongo_uri": proxied_uri, "mongo_timeout_s": 2.0, "edge_memory_bytes": 0}
        async with running_edge(settings, **changes) as client:
            paths = [f"/api/images/{image.id}/thumb" for image in images]
            paths += [f"/media/{image.content}/320.webp" for image in images]
            seen = [await body(client, path) for path in paths]
            mongo.refuse = proxy.refuse = True
            await mongo.drop_connections()
            await proxy.drop_connections()
            # As if a minute had passed: cached images are too old for stale-while-revalidate.
            monkeypatch.setattr("edge.metadata_cache.STALE_WHILE_REVALIDATE_S", 0.0)
            assert [await body(client, path) for path in paths] == seen
            assert await metric(client, "edge_stale_total") == 3
            async with client.get("/readyz") as response:
                assert response.status == 503


async def body(client: Client, path: str) -> bytes:
    async with client.get(path, headers=IMG) as response:
        assert response.status == 200, await response.text()
        return await response.read()


async def test_cancelled_renders_leak_nothing(settings: EdgeSettings, blobs: ObjectStore) -> None:
    content = await store_original(blobs, pictures.jpeg(1500, 1000))
    async with running_edge(settings, edge_memory_bytes=0) as client:
        assert isinstance(client.server, TestServer)
        service = client.server.app[VARIANT_SERVICE]
        for number in range(40):
            variant = VariantKey(content, settings.media_widths[number % 8], ("webp", "jpg")[number % 2])
            task = asyncio.create_task(service.get(variant))
            # Cancelled between the first step and, on most machines, after the last.
            await asyncio.sleep(number / 400)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await metric_becomes(client, "edge_variants_making", 0)
        for extension in ("webp", "jpg", "avif"):
            async with client.get(f"/media/{content}/1024.{extension}") as response:
                assert response.status == 200
        links = (link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
        assert not [link for link in links if "memfd:tagify" in str(link)]


@hypothesis.settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    st.text(max_size=70) | st.sampled_from(("0" * 64, "F" * 64, "..", "%00")),
    st.text(max_size=12) | st.sampled_from(("320.webp", "99999.jpg", "0.avif", "original", "-1.webp")),
    st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40),
)
def test_any_url_and_accept_header_is_no_server_error(
    edge_url: str, content: str, name: str, accept: str
) -> None:
    url = f"{edge_url}/media/{quote(content, safe='')}/{quote(name, safe='')}"
    request = Request(url, headers={"Accept": accept})
    try:
        with urlopen(request, timeout=30) as response:
            status = response.status
    except HTTPError as error:
        with error:
            status = error.code
    assert status in (200, 400, 404)


@pytest.fixture
def edge_url(mongo_values: Values, s3_values: Values, tmp_path: Path) -> Iterator[str]:
    """URL of an edge in a background thread, for a synchronous test."""
    settings, loop = (
        EdgeSettings(**mongo_values, **s3_values, edge_cache_dir=tmp_path / "cache"),
        BackgroundLoop(),
    )
    exit_stack = AsyncExitStack()
    client = loop.run_sync(exit_stack.enter_async_context(running_edge(settings)))
    yield str(client.make_url("")).rstrip("/")
    loop.run_sync(exit_stack.aclose())
    loop.close()
