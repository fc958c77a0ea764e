"""Making variants under load and under attack: queues, flights, refusals, formats, stale answers."""

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
    async with chaos_proxy(s3_values["s3_endpoint"]) as made:
        yield made


@pytest.fixture
def settings(mongo_values: Values, s3_values: Values, proxy: ChaosProxy, tmp_path: Path) -> EdgeSettings:
    """The edge reaches its store through the proxy; what is put there is put past it."""
    values = {**mongo_values, **s3_values, "s3_endpoint": proxy.endpoint}
    return EdgeSettings(**values, edge_cache_dir=tmp_path / "cache", s3_timeout_s=5, edge_workers=2)


async def put(blobs: ObjectStore, data: bytes) -> Content:
    content = Content(hashlib.sha256(data).hexdigest())
    await blobs.upload(Bucket.ORIGINALS, content, data, "image/jpeg")
    return content


async def metric(client: Client, name: str) -> float:
    async with client.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def becomes(client: Client, name: str, wanted: float) -> None:
    async def probe() -> bool:
        return await metric(client, name) == wanted

    await until(probe, timeout_s=40)


@asynccontextmanager
async def asking(client: Client, path: str) -> AsyncIterator["asyncio.Task[int]"]:
    """A client that waits for an answer; it leaves with the block."""

    async def ask() -> int:
        async with client.get(path) as response:
            await response.read()
            return response.status

    task = asyncio.create_task(ask())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_full_queue_refuses_at_once_and_hits_go_on(
    settings: EdgeSettings, blobs: ObjectStore, proxy: ChaosProxy
) -> None:
    kept, slow = await put(blobs, pictures.jpeg(700, 500)), await put(blobs, pictures.jpeg(900, 600))
    async with running_edge(settings, edge_queue_size=1, edge_memory_bytes=0) as client:
        async with client.get(f"/media/{kept}/320.webp") as response:
            assert response.status == 200
        proxy.blackhole = True
        paths = [f"/media/{slow}/{width}.webp" for width in (768, 1024, 1600)]
        async with asking(client, paths[0]), asking(client, paths[1]), asking(client, paths[2]):
            await becomes(client, "edge_variants_making", 3)
            start = time.monotonic()
            async with client.get(f"/media/{slow}/2048.webp") as response:
                assert response.status == 503
                assert int(response.headers["Retry-After"]) >= 1
                assert (await response.json(content_type=None))["type"] == "urn:tagify:problem:busy"
            async with client.get(f"/media/{kept}/320.webp") as response:
                assert response.status == 200
            assert time.monotonic() - start < 3
            assert await metric(client, 'edge_variant_answers_total{layer="refused"}') == 1


async def test_who_leaves_does_not_cancel_for_others_and_the_last_one_ends_the_fetch(
    settings: EdgeSettings, blobs: ObjectStore, proxy: ChaosProxy
) -> None:
    content = await put(blobs, pictures.jpeg(1200, 800))
    proxy.latency_s = 1.0
    async with running_edge(settings) as client:
        path = f"/media/{content}/768.webp"
        async with asking(client, path) as stays:
            async with asking(client, path):
                await becomes(client, 'edge_variant_answers_total{layer="joined"}', 1)
            assert await stays == 200
        proxy.latency_s = 0.0
        proxy.rate = 1000
        async with asking(client, f"/media/{content}/1024.webp"):
            await becomes(client, "edge_variants_making", 1)
            await until_open(proxy)
        await becomes(client, "edge_variants_making", 0)
        assert await metric(client, 'edge_encode_seconds_count{format="webp"}') == 1
        proxy.clear_faults()
        async with client.get(f"/media/{content}/1024.webp") as response:
            assert response.status == 200


async def until_open(proxy: ChaosProxy) -> None:
    async def probe() -> bool:
        return proxy.open_connections > 0

    await until(probe)


async def test_what_cannot_be_decoded_is_refused_from_memory_and_drawn_for_an_img(
    settings: EdgeSettings, blobs: ObjectStore
) -> None:
    content = await put(blobs, pictures.jpeg()[:600])
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


async def test_a_browser_draws_the_picture_of_an_error(settings: EdgeSettings, blobs: ObjectStore) -> None:
    content = await put(blobs, b"no picture")
    async with running_edge(settings) as client, browser_page() as (page, _):
        url = str(client.make_url(f"/media/{content}/768.webp"))
        await page.set_content(f'<img src="{url}">')
        image = page.locator("img")
        await image.evaluate("i => i.decode()")
        assert await image.evaluate("i => i.naturalWidth") == 256


async def test_a_content_that_is_not_there_is_asked_for_once(
    settings: EdgeSettings, proxy: ChaosProxy
) -> None:
    async with running_edge(settings) as client:
        for _ in range(5):
            async with client.get(f"/media/{'0' * 64}/768.webp") as response:
                assert response.status == 404
        assert await metric(client, 'edge_upstream_seconds_count{method="HEAD"}') == 1


@pytest.mark.parametrize("attack", [pictures.many_scans_jpeg, pictures.decompression_bomb])
async def test_hostile_originals_are_refused_and_free_their_worker(
    settings: EdgeSettings, blobs: ObjectStore, attack: Any
) -> None:
    bad, good = await put(blobs, attack()), await put(blobs, pictures.jpeg(800, 600))
    async with running_edge(settings, edge_workers=1, edge_decode_s=2) as client:
        async with asyncio.timeout(60):
            async with (
                asking(client, f"/media/{bad}/768.webp") as one,
                asking(client, f"/media/{bad}/1024.webp") as two,
            ):
                await becomes(client, "edge_variants_making", 2)
                async with client.get(f"/media/{good}/768.webp") as response:
                    assert response.status == 200
                assert [await one, await two] == [422, 422]
            async with client.get(f"/media/{good}/1024.webp") as response:
                assert response.status == 200


async def test_avif_has_places_of_its_own_and_others_pass(settings: EdgeSettings, blobs: ObjectStore) -> None:
    bad, good = await put(blobs, pictures.many_scans_jpeg()), await put(blobs, pictures.jpeg(800, 600))
    async with (
        running_edge(settings, edge_workers=2, edge_avif_workers=1, edge_decode_s=6) as client,
        asking(client, f"/media/{bad}/768.avif") as slow,
        asking(client, f"/media/{good}/768.avif") as behind,
    ):
        await becomes(client, "edge_variants_making", 2)
        async with client.get(f"/media/{good}/768.webp") as response:
            assert response.status == 200
        assert not slow.done()
        assert not behind.done()
        assert [await slow, await behind] == [422, 200]


async def test_pixels_wait_for_memory_and_what_fits_beside_them_passes(
    settings: EdgeSettings, blobs: ObjectStore
) -> None:
    hostile = await put(blobs, pictures.many_scans_jpeg())
    large = await put(blobs, pictures.jpeg(3000, 3000, progressive=True))
    small = await put(blobs, pictures.jpeg(800, 600))
    ended: list[str] = []
    async with (
        # Two of 36 MB do not fit, and a worker is free for each.
        running_edge(settings, edge_workers=3, edge_decode_mb=64, edge_decode_s=6) as client,
        asking(client, f"/media/{hostile}/768.webp") as first,
    ):
        await becomes(client, "edge_decode_bytes", 36_000_000)
        async with asking(client, f"/media/{large}/768.webp") as second:
            await becomes(client, "edge_variants_making", 2)
            first.add_done_callback(lambda _: ended.append("hostile"))
            second.add_done_callback(lambda _: ended.append("large"))
            async with client.get(f"/media/{small}/768.webp") as response:
                assert response.status == 200
            ended.append("small")
            assert [await first, await second] == [422, 200]
    assert ended == ["small", "hostile", "large"]


async def test_a_storm_of_503_opens_the_circuit_for_thumbs_too(
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
        asked = await metric(client, 'edge_upstream_seconds_count{method="GET"}')
        proxy.canned_response = STORM
        await proxy.drop_connections()
        loop = asyncio.get_running_loop()
        start, rounds = loop.time(), 5
        for _ in range(rounds):
            assert set(await asyncio.gather(*map(status, paths[1:]))) == {503}
        # Those that were under way together when it opened, and a probe now and then.
        most = len(paths) + 2 * (loop.time() - start) + 2
        assert (
            FAILURE_THRESHOLD
            <= await metric(client, 'edge_upstream_seconds_count{method="GET"}') - asked
            <= most
        )
        refused = await metric(client, 'edge_circuit_refused_total{server="S3"}')
        assert refused >= (rounds - 1) * (len(paths) - 1) - most
        assert await status(paths[0]) == 200  # what is kept asks nobody
        proxy.clear_faults()

        async def well() -> bool:
            return {await status(path) for path in paths} == {200}

        await until(well, timeout_s=60)


async def test_one_picture_is_kept_for_all_widths_above_its_own(
    settings: EdgeSettings, catalog: Catalog, blobs: ObjectStore, proxy: ChaosProxy
) -> None:
    image = await insert_stored_image(catalog, blobs, pictures.jpeg(700, 500))
    paths = [f"/media/{image.content}/{width}.webp" for width in (3072, 1024, 768, 2048)]
    async with running_edge(settings) as client:
        bodies = await asyncio.gather(*(body(client, path) for path in paths))
        assert Pixels.open(io.BytesIO(bodies[0])).size == (700, 500)
        assert len(set(bodies)) == 1
        assert await metric(client, 'edge_encode_seconds_count{format="webp"}') == 1
    sizes = [place.stat().st_size for place in settings.edge_cache_dir.rglob("*.val")]
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


async def test_thumbs_by_id_come_in_the_format_that_is_named(
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


async def test_a_page_seen_a_minute_ago_draws_with_both_servers_dead(
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
        behind = SecretStr(uri.replace(address, f"127.0.0.1:{mongo.port}"))
        changes: Values = {"mongo_uri": behind, "mongo_timeout_s": 2.0, "edge_memory_bytes": 0}
        async with running_edge(settings, **changes) as client:
            paths = [f"/api/images/{image.id}/thumb" for image in images]
            paths += [f"/media/{image.content}/320.webp" for image in images]
            seen = [await body(client, path) for path in paths]
            mongo.refuse = proxy.refuse = True
            await mongo.drop_connections()
            await proxy.drop_connections()
            # As if a minute had passed: what was said is neither fresh nor good while it is asked again.
            monkeypatch.setattr("edge.metadata_cache.STALE_WHILE_REVALIDATE_S", 0.0)
            assert [await body(client, path) for path in paths] == seen
            assert await metric(client, "edge_stale_total") == 3
            async with client.get("/readyz") as response:
                assert response.status == 503


async def body(client: Client, path: str) -> bytes:
    async with client.get(path, headers=IMG) as response:
        assert response.status == 200, await response.text()
        return await response.read()


async def test_cancelled_at_any_moment_nothing_is_left(settings: EdgeSettings, blobs: ObjectStore) -> None:
    content = await put(blobs, pictures.jpeg(1500, 1000))
    async with running_edge(settings, edge_memory_bytes=0) as client:
        assert isinstance(client.server, TestServer)
        variants = client.server.app[VARIANT_SERVICE]
        for number in range(40):
            wanted = VariantKey(content, settings.media_widths[number % 8], ("webp", "jpg")[number % 2])
            task = asyncio.create_task(variants.get(wanted))
            # From before its first step to, on most machines, behind its last.
            await asyncio.sleep(number / 400)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await becomes(client, "edge_variants_making", 0)
        for ending in ("webp", "jpg", "avif"):
            async with client.get(f"/media/{content}/1024.{ending}") as response:
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
def test_no_url_and_no_accept_is_a_fault(edge_url: str, content: str, name: str, accept: str) -> None:
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
    """An edge in a thread of its own, for a test that does not await."""
    settings, loop = (
        EdgeSettings(**mongo_values, **s3_values, edge_cache_dir=tmp_path / "cache"),
        BackgroundLoop(),
    )
    held = AsyncExitStack()
    client = loop.run_sync(held.enter_async_context(running_edge(settings)))
    yield str(client.make_url("")).rstrip("/")
    loop.run_sync(held.aclose())
    loop.close()
