"""What is removed leaves every cache: the edge's memory and disk, and NGINX's, by exact keys."""

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
    """Caches do not tell stores apart: one will do."""
    return servers.s3("seaweedfs")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.app.PURGE_DELAY_S", 0.3)
    monkeypatch.setattr("edge.purge.follower.POLL_S", 0.1)


async def stored(catalog: Catalog, blobs: ObjectStore, seed: int) -> Image:
    """An image in a library of its own; its original takes three slices."""
    data = pictures.jpeg(800, 600, seed=seed).ljust(LENGTH, b"\0")
    return await insert_stored_image(catalog, blobs, data, root=f"/srv/{seed}")


async def by_sweep(catalog: Catalog, blobs: ObjectStore, image: Image) -> None:
    """Its file has gone, its time is over, and its objects are swept."""
    await catalog.images.write([MarkMissing(image.id, image.library_id, image.file.path)])
    await GarbageCollector(
        catalog, blobs, missing_for=timedelta(), orphan_age=timedelta(), mark_age_s=0
    ).run()


async def by_library(catalog: Catalog, blobs: ObjectStore, image: Image) -> None:
    """Its library is taken out."""
    await catalog.libraries.begin_removal(image.library_id)
    lease = await catalog.leases.acquire(image.library_id, "test", 60)
    library = await catalog.libraries.get(LibraryId(image.library_id))
    assert library is not None
    await LibraryRemover(catalog, blobs, mark_age_s=0).run(library, lease.token)


def questions(image: Image) -> list[tuple[str, dict[str, str]]]:
    """What browsers may ask of an image: path and headers."""
    by_content = [f"/media/{image.content}/{name}" for name in ("320.webp", "768.jpg", "original")]
    by_id = f"/api/images/{image.id}/thumb?v={image.content}"
    asked = [(path, {"Accept": "*/*"}) for path in by_content]
    asked += [(by_id, {"Accept": accept}) for accept in BROWSERS]
    return asked + [(path, {**headers, "Origin": OURS}) for path, headers in asked]


def kept_of(image: Image, *folders: Path) -> list[Path]:
    """The files of caches that hold something of its content."""
    # os.walk passes over folders that go while it is at it.
    walks = [walk for folder in folders for walk in os.walk(folder)]
    found = [Path(top) / name for top, _, names in walks for name in names if not name.endswith(".purged")]
    return [path for path in found if f"{image.content}".encode() in _head(path)]


def _head(path: Path) -> bytes:
    try:
        return path.read_bytes()[:1000]
    except FileNotFoundError:
        return b""


@asynccontextmanager
async def running(
    tmp_path: Path, values: Values, *, port: int = 0
) -> AsyncIterator[tuple[Client, NginxSite]]:
    """An edge, and nginx in front of it, with what their caches in this folder hold."""
    port = port or free_ports()
    settings = EdgeSettings(
        **values,
        edge_cache_dir=tmp_path / "edge",
        cors_origins=(OURS,),
        edge_purge_url=f"http://127.0.0.1:{port + 1}",
    )
    async with running_edge(settings) as behind:
        place = (f"127.0.0.1:{behind.port}",)
        async with nginx_site(tmp_path, port=port, nginx_edge=place, cors_origins=(OURS,)) as front:
            yield behind, front


async def all_cached(front: NginxSite, image: Image) -> None:
    """Ask until NGINX has all there is to have."""
    for path, headers in questions(image) * 2:
        answer, _ = await front.get(path, headers=headers)
        assert answer.status == 200, (path, headers)
    assert answer.headers["X-Cache"] == "HIT"


@pytest.mark.parametrize("remove", [by_sweep, by_library])
async def test_a_removed_image_leaves_all_caches_and_its_sister_stays(
    tmp_path: Path,
    catalog: Catalog,
    blobs: ObjectStore,
    mongo_values: Values,
    s3_values: Values,
    remove: Remove,
) -> None:
    if not MODULE.exists():
        skip_or_fail("nginx's purge module", "sudo apt-get install libnginx-mod-http-cache-purge")
    gone, stays = await stored(catalog, blobs, 1), await stored(catalog, blobs, 2)
    caches = (tmp_path / "nginx" / "cache", tmp_path / "edge")
    async with running(tmp_path, {**mongo_values, **s3_values}) as (behind, front):
        for image in (gone, stays):
            await all_cached(front, image)
        assert len(kept_of(gone, caches[0])) == 2 * (2 + 3 + len(BROWSERS))
        before = kept_of(stays, *caches)
        await remove(catalog, blobs, gone)

        async def forgotten() -> bool:
            return not kept_of(gone, *caches)

        await until(forgotten, timeout_s=10)
        for path, headers in questions(gone):
            assert (await front.get(path, headers=headers))[0].status == 404
        assert behind.app[MEMORY_CACHE].get(f"/media/{gone.content}/320.webp") is None
        assert kept_of(stays, *caches) == before
        answer, _ = await front.get(f"/media/{stays.content}/320.webp")
        assert answer.headers["X-Cache"] == "HIT"


async def test_an_nginx_without_the_module_runs_and_keeps_until_its_time(
    tmp_path: Path,
    catalog: Catalog,
    blobs: ObjectStore,
    mongo_values: Values,
    s3_values: Values,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tagify.deploy.nginx.cache_purge.MODULE", tmp_path / "none.so")
    gone = await stored(catalog, blobs, 1)
    caches = (tmp_path / "nginx" / "cache", tmp_path / "edge")
    async with running(tmp_path, {**mongo_values, **s3_values}) as (behind, front):
        config = tmp_path / "nginx" / "nginx.conf"
        assert "purge" not in "".join(path.read_text() for path in config.parent.glob("*.conf"))
        assert NGINX_BINARY is not None
        checked = await asyncio.create_subprocess_exec(NGINX_BINARY, "-t", "-q", "-c", str(config))
        assert await checked.wait() == 0
        await all_cached(front, gone)
        kept = len(kept_of(gone, caches[0]))
        await by_sweep(catalog, blobs, gone)
        await until(lambda: has_forgotten(behind, "nginx"))
        assert not kept_of(gone, caches[1])
        assert len(kept_of(gone, caches[0])) == kept
        assert await catalog.images.get(gone.id) is None


async def has_forgotten(client: Client, cache: str) -> bool:
    """Whether the edge says that this cache has forgotten something."""
    async with client.get("/metrics") as answer:
        return f'edge_forgotten_total{{cache="{cache}"}}' in await answer.text()


async def test_a_removal_waits_for_no_cache_and_none_is_left_out(
    tmp_path: Path,
    catalog: Catalog,
    blobs: ObjectStore,
    mongo_values: Values,
    s3_values: Values,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NGINX hangs, then it is away, then an edge is; each catches up once it is back."""
    if not MODULE.exists():
        skip_or_fail("nginx's purge module", "sudo apt-get install libnginx-mod-http-cache-purge")
    monkeypatch.setattr("edge.purge.nginx.TIMEOUT_S", 0.2)
    monkeypatch.setattr("edge.purge.follower.MAX_BACKOFF_S", 0.2)
    first, second = await stored(catalog, blobs, 1), await stored(catalog, blobs, 2)
    caches = (tmp_path / "nginx" / "cache", tmp_path / "edge")
    values = {**mongo_values, **s3_values}
    async with running(tmp_path, values) as (behind, front):
        for image in (first, second):
            await all_cached(front, image)
        port = front.internal_port - 1
        os.kill(front.process.pid, signal.SIGSTOP)
        try:
            await asyncio.wait_for(by_sweep(catalog, blobs, first), 30)
            await until(lambda: has_forgotten(behind, "edge"))
        finally:
            os.kill(front.process.pid, signal.SIGCONT)
    assert kept_of(first, caches[0])
    await by_sweep(catalog, blobs, second)
    async with running(tmp_path, values, port=port):

        async def forgotten() -> bool:
            return not kept_of(first, *caches) and not kept_of(second, *caches)

        await until(forgotten, timeout_s=60)
