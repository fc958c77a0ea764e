"""Removed images leave every cache: the edge's memory and disk caches, and NGINX's, by exact keys."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from edge.app_keys import MEMORY_CACHE
from ingest.library_removal import LibraryRemover
from tagify.catalog import Catalog, MarkMissing
from tagify.deploy.nginx.cache_purge import MODULE, SLICE_BYTES
from tagify.gc import GarbageCollector
from tagify.model import Image, LibraryId
from tagify.servers.s3 import S3Server
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support import pictures
from tests.support.catalog_fixtures import insert_stored_image
from tests.support.nginx_site import NGINX_BINARY, NginxSite, nginx_site
from tests.support.originals import Client, running_edge
from tests.support.ports import free_ports
from tests.support.servers import Servers, skip_or_fail
from tests.support.waiting import until

OURS = "https://photos.example.org"
LENGTH = 2 * SLICE_BYTES + 12_345
BROWSERS = ("*/*", "image/webp,*/*", "image/avif,image/webp,*/*")
Remove = Callable[[Catalog, ObjectStore, Image], Awaitable[None]]


@pytest.fixture
def s3(servers: Servers) -> S3Server:
    """One S3 server is enough: caches do not depend on it."""
    return servers.s3("seaweedfs")


@pytest.fixture(autouse=True)
def _short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.app.PURGE_DELAY_S", 0.3)
    monkeypatch.setattr("edge.purge.follower.POLL_S", 0.1)


async def store_image(catalog: Catalog, blobs: ObjectStore, seed: int) -> Image:
    """An image in a separate library; its original takes three slices of NGINX's cache."""
    data = pictures.jpeg(800, 600, seed=seed).ljust(LENGTH, b"\0")
    return await insert_stored_image(catalog, blobs, data, root=f"/srv/{seed}")


async def remove_by_gc(catalog: Catalog, blobs: ObjectStore, image: Image) -> None:
    """Marks the image missing and runs the garbage collector without grace periods."""
    await catalog.images.write([MarkMissing(image.id, image.library_id, image.file.path)])
    await GarbageCollector(
        catalog, blobs, missing_for=timedelta(), orphan_age=timedelta(), mark_age_s=0
    ).run()


async def remove_library(catalog: Catalog, blobs: ObjectStore, image: Image) -> None:
    """Removes the library of the image."""
    await catalog.libraries.begin_removal(image.library_id)
    lease = await catalog.leases.acquire(image.library_id, "test", 60)
    library = await catalog.libraries.get(LibraryId(image.library_id))
    assert library is not None
    await LibraryRemover(catalog, blobs, mark_age_s=0).run(library, lease.token)


def browser_requests(image: Image) -> list[tuple[str, dict[str, str]]]:
    """Paths and headers of the requests that browsers send for an image."""
    by_content = [f"/media/{image.content}/{name}" for name in ("320.webp", "768.jpg", "original")]
    by_id = f"/api/images/{image.id}/thumb?v={image.content}"
    requests = [(path, {"Accept": "*/*"}) for path in by_content]
    requests += [(by_id, {"Accept": accept}) for accept in BROWSERS]
    return requests + [(path, {**headers, "Origin": OURS}) for path, headers in requests]


def cached_files(image: Image, *folders: Path) -> list[Path]:
    """The cache files of an image's content."""
    # os.walk skips directories that are removed during the walk.
    walks = [walk for folder in folders for walk in os.walk(folder)]
    paths = [Path(top) / name for top, _, names in walks for name in names if not name.endswith(".purged")]
    return [path for path in paths if f"{image.content}".encode() in _head(path)]


def _head(path: Path) -> bytes:
    try:
        return path.read_bytes()[:1000]
    except FileNotFoundError:
        return b""


@asynccontextmanager
async def running(
    tmp_path: Path, values: Values, *, port: int = 0
) -> AsyncIterator[tuple[Client, NginxSite]]:
    """An edge and an nginx in front of it, with their caches in this folder."""
    port = port or free_ports()
    settings = EdgeSettings(
        **values,
        edge_cache_dir=tmp_path / "edge",
        cors_origins=(OURS,),
        edge_purge_url=f"http://127.0.0.1:{port + 1}",
    )
    async with running_edge(settings) as edge:
        upstreams = (f"127.0.0.1:{edge.port}",)
        async with nginx_site(tmp_path, port=port, nginx_edge=upstreams, cors_origins=(OURS,)) as front:
            yield edge, front


async def fill_caches(front: NginxSite, image: Image) -> None:
    """Send every request twice, so that NGINX caches all responses."""
    for path, headers in browser_requests(image) * 2:
        response, _ = await front.get(path, headers=headers)
        assert response.status == 200, (path, headers)
    assert response.headers["X-Cache"] == "HIT"


@pytest.mark.parametrize("remove", [remove_by_gc, remove_library])
async def test_removed_image_leaves_all_caches_and_others_stay(
    tmp_path: Path,
    catalog: Catalog,
    blobs: ObjectStore,
    mongo_values: Values,
    s3_values: Values,
    remove: Remove,
) -> None:
    if not MODULE.exists():
        skip_or_fail("nginx's purge module", "sudo apt-get install libnginx-mod-http-cache-purge")
    removed, remaining = await store_image(catalog, blobs, 1), await store_image(catalog, blobs, 2)
    caches = (tmp_path / "nginx" / "cache", tmp_path / "edge")
    async with running(tmp_path, {**mongo_values, **s3_values}) as (edge, front):
        for image in (removed, remaining):
            await fill_caches(front, image)
        assert len(cached_files(removed, caches[0])) == 2 * (2 + 3 + len(BROWSERS))
        before = cached_files(remaining, *caches)
        await remove(catalog, blobs, removed)

        async def invalidated() -> bool:
            return not cached_files(removed, *caches)

        await until(invalidated, timeout_s=10)
        for path, headers in browser_requests(removed):
            assert (await front.get(path, headers=headers))[0].status == 404
        assert edge.app[MEMORY_CACHE].get(f"/media/{removed.content}/320.webp") is None
        assert cached_files(remaining, *caches) == before
        response, _ = await front.get(f"/media/{remaining.content}/320.webp")
        assert response.headers["X-Cache"] == "HIT"


async def test_nginx_without_the_module_keeps_responses_until_they_expire(
    tmp_path: Path,
    catalog: Catalog,
    blobs: ObjectStore,
    mongo_values: Values,
    s3_values: Values,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tagify.deploy.nginx.cache_purge.MODULE", tmp_path / "none.so")
    removed = await store_image(catalog, blobs, 1)
    caches = (tmp_path / "nginx" / "cache", tmp_path / "edge")
    async with running(tmp_path, {**mongo_values, **s3_values}) as (edge, front):
        config = tmp_path / "nginx" / "nginx.conf"
        # The text contains the name of this test, by tmp_path.
        assert "purge" not in "".join(path.read_text() for path in config.parent.glob("*.conf"))
        assert NGINX_BINARY is not None
        checked = await asyncio.create_subprocess_exec(NGINX_BINARY, "-t", "-q", "-c", str(config))
        assert await checked.wait() == 0
        await fill_caches(front, removed)
        cached_count = len(cached_files(removed, caches[0]))
        await remove_by_gc(catalog, blobs, removed)
        await until(lambda: has_invalidated(edge, "nginx"))
        assert not cached_files(removed, caches[1])
        assert len(cached_files(removed, caches[0])) == cached_count
        assert await catalog.images.get(removed.id) is None


async def has_invalidated(client: Client, cache: str) -> bool:
    """Whether the edge's metrics report an invalidation in this cache."""
    async with client.get("/metrics") as response:
        return f'edge_forgotten_total{{cache="{cache}"}}' in await response.text()


async def test_invalidation_is_asynchronous_and_catches_up_after_outages(
    tmp_path: Path,
    catalog: Catalog,
    blobs: ObjectStore,
    mongo_values: Values,
    s3_values: Values,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NGINX hangs, then NGINX and the edge are down; each catches up once it is back."""
    if not MODULE.exists():
        skip_or_fail("nginx's purge module", "sudo apt-get install libnginx-mod-http-cache-purge")
    monkeypatch.setattr("edge.purge.nginx.TIMEOUT_S", 0.2)
    monkeypatch.setattr("edge.purge.follower.MAX_BACKOFF_S", 0.2)
    first, second = await store_image(catalog, blobs, 1), await store_image(catalog, blobs, 2)
    caches = (tmp_path / "nginx" / "cache", tmp_path / "edge")
    values = {**mongo_values, **s3_values}
    async with running(tmp_path, values) as (edge, front):
        for image in (first, second):
            await fill_caches(front, image)
        port = front.internal_port - 1
        os.kill(front.process.pid, signal.SIGSTOP)
        try:
            await asyncio.wait_for(remove_by_gc(catalog, blobs, first), 30)
            await until(lambda: has_invalidated(edge, "edge"))
        finally:
            os.kill(front.process.pid, signal.SIGCONT)
    assert cached_files(first, caches[0])
    await remove_by_gc(catalog, blobs, second)
    async with running(tmp_path, values, port=port):

        async def invalidated() -> bool:
            return not cached_files(first, *caches) and not cached_files(second, *caches)

        await until(invalidated, timeout_s=60)
