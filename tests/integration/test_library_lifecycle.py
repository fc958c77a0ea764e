"""A library from its first day to its last, with a daemon that is never started again."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from api.app import build
from ingest.app import build as build_ingest
from ingest.library_removal import LibraryRemover
from tagify.catalog import Catalog, LeaseLost
from tagify.model import Bucket, Content
from tagify.settings import ApiSettings, IngestSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support import pictures
from tests.support.catalog_fixtures import all_images, assert_counts_exact
from tests.support.waiting import until

Client = TestClient[Any, Any]


@pytest.fixture
async def client(
    aiohttp_client: Callable[..., Awaitable[Client]], mongo_values: Values, s3_values: Values, tmp_path: Path
) -> Client:
    return await aiohttp_client(build(ApiSettings(**mongo_values, **s3_values, library_roots=(tmp_path,))))


@pytest.fixture
async def ingest(
    mongo_values: Values, s3_values: Values, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Any]:
    """A daemon; what it condemns goes at once."""
    monkeypatch.setattr("ingest.container.MARK_AGE_S", 0)

    @asynccontextmanager
    async def run() -> AsyncIterator[None]:
        settings = IngestSettings(**mongo_values, **s3_values, ingest_settle_s=0.1, ingest_workers=2)
        server = TestServer(build_ingest(settings))
        await server.start_server()
        try:
            yield
        finally:
            await server.close()

    return run


def folder(tmp_path: Path, name: str, *seeds: int) -> Path:
    made = tmp_path / name
    made.mkdir()
    for seed in seeds:
        (made / f"{seed}.jpg").write_bytes(pictures.with_keywords("sea", seed=seed))
    return made


async def add(client: Client, path: Path) -> dict[str, Any]:
    async with client.post("/api/libraries", json={"path": str(path)}) as response:
        library: dict[str, Any] = await response.json()
        assert response.status == 201, library
        return library


async def libraries(client: Client) -> list[dict[str, Any]]:
    async with client.get("/api/libraries") as response:
        found: list[dict[str, Any]] = await response.json()
        return found


async def indexed(client: Client, *numbers: int) -> None:
    async def probe() -> bool:
        return [library["indexed_count"] for library in await libraries(client)] == list(numbers)

    await until(probe, timeout_s=60)


async def stored(blobs: ObjectStore, contents: set[Content | None]) -> list[bool]:
    return [await blobs.exists(bucket, name) for name in sorted(filter(None, contents)) for bucket in Bucket]


async def test_libraries_come_and_go_while_a_daemon_runs(
    client: Client, ingest: Callable[[], Any], catalog: Catalog, blobs: ObjectStore, tmp_path: Path
) -> None:
    async with ingest():
        first = await add(client, folder(tmp_path, "first", 1, 2, 3))
        await indexed(client, 3)
        second = folder(tmp_path, "second", 4, 5)
        shutil.copyfile(tmp_path / "first" / "1.jpg", second / "same.jpg")
        await add(client, second)
        await indexed(client, 3, 3)
        before = {image.content for image in await all_images(catalog)}
        async with client.delete(f"/api/libraries/{first['_id']}") as response:
            told = await response.json()
            assert (response.status, told["state"]) == (202, "removing")
        await indexed(client, 3)
        after = {image.content for image in await all_images(catalog)}
        assert len(before - after) == 2
        assert await stored(blobs, after) == [True] * 6
        assert await stored(blobs, before - after) == [False] * 4
        await assert_counts_exact(catalog)
        assert sorted(path.name for path in (tmp_path / "first").glob("*.jpg")) == ["1.jpg", "2.jpg", "3.jpg"]
        # And the same place is taken anew.
        await add(client, tmp_path / "first")
        await indexed(client, 3, 3)
        assert await stored(blobs, before) == [True] * 10
        await assert_counts_exact(catalog)


async def test_a_removal_that_no_daemon_sees_to_says_so_and_goes_on_once_one_does(
    client: Client, ingest: Callable[[], Any], catalog: Catalog, tmp_path: Path
) -> None:
    async with ingest():
        library = await add(client, folder(tmp_path, "first", 1, 2))
        await indexed(client, 2)
    async with client.delete(f"/api/libraries/{library['_id']}") as response:
        assert response.status == 202
    async with client.get(f"/api/libraries/{library['_id']}/progress") as response:
        told = await response.json()
    assert (told["state"], told["removal"]["total"], told["removal"]["done"]) == ("removing", 2, 0)
    assert "no ingest service is running" in told["removal"]["message"]
    assert len(await all_images(catalog)) == 2
    async with ingest():
        await indexed(client)
    assert await all_images(catalog) == []
    await assert_counts_exact(catalog)


async def test_a_removal_broken_off_anywhere_is_gone_on_with(
    client: Client,
    ingest: Callable[[], Any],
    catalog: Catalog,
    blobs: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tagify.catalog.library_removal.BATCH", 2)
    monkeypatch.setattr("tagify.catalog.deletion_queue.CLAIM_S", 0)
    async with ingest():
        told = await add(client, folder(tmp_path, "first", *range(5)))
        await indexed(client, 5)
    contents = {image.content for image in await all_images(catalog)}
    library = await catalog.libraries.begin_removal(told["_id"])
    assert library is not None
    calls = ("_mark_contents", "count_objects_left", "delete_key", "unmark", "delete_library")
    owners = (
        catalog.library_removal,
        catalog.library_removal,
        blobs,
        catalog.deletion_queue,
        catalog.library_removal,
    )
    for call, owner in zip(calls, owners, strict=True):
        lease = await catalog.leases.acquire(library.id, "test", 60)
        with monkeypatch.context() as broken:
            broken.setattr(owner, call.rpartition(".")[2], _breaks)
            with pytest.raises(RuntimeError):
                await LibraryRemover(catalog, blobs, mark_age_s=0).run(library, lease.token)
        await assert_counts_exact(catalog)
    stale = lease.token
    lease = await catalog.leases.acquire(library.id, "test", 60)
    with pytest.raises(LeaseLost):
        await LibraryRemover(catalog, blobs, mark_age_s=0).run(library, stale)
    await LibraryRemover(catalog, blobs, mark_age_s=0).run(library, lease.token)
    assert await catalog.libraries.list_all() == []
    assert await stored(blobs, contents) == [False] * 10


async def _breaks(*_: object) -> None:
    raise RuntimeError("broken off")
