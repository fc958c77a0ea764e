"""Adding and removing libraries while the ingest daemon runs, without restarts."""

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
    """Starts a daemon that deletes marked objects without waiting."""
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


def create_folder(tmp_path: Path, name: str, *seeds: int) -> Path:
    path = tmp_path / name
    path.mkdir()
    for seed in seeds:
        (path / f"{seed}.jpg").write_bytes(pictures.with_keywords("sea", seed=seed))
    return path


async def add(client: Client, path: Path) -> dict[str, Any]:
    async with client.post("/api/libraries", json={"path": str(path)}) as response:
        library: dict[str, Any] = await response.json()
        assert response.status == 201, library
        return library


async def libraries(client: Client) -> list[dict[str, Any]]:
    async with client.get("/api/libraries") as response:
        body: list[dict[str, Any]] = await response.json()
        return body


async def wait_until_indexed(client: Client, *numbers: int) -> None:
    async def probe() -> bool:
        return [library["indexed_count"] for library in await libraries(client)] == list(numbers)

    await until(probe, timeout_s=60)


async def objects_exist(blobs: ObjectStore, contents: set[Content | None]) -> list[bool]:
    return [await blobs.exists(bucket, name) for name in sorted(filter(None, contents)) for bucket in Bucket]


async def test_libraries_can_be_added_and_removed_while_the_daemon_runs(
    client: Client, ingest: Callable[[], Any], catalog: Catalog, blobs: ObjectStore, tmp_path: Path
) -> None:
    async with ingest():
        first = await add(client, create_folder(tmp_path, "first", 1, 2, 3))
        await wait_until_indexed(client, 3)
        second = create_folder(tmp_path, "second", 4, 5)
        shutil.copyfile(tmp_path / "first" / "1.jpg", second / "same.jpg")
        await add(client, second)
        await wait_until_indexed(client, 3, 3)
        before = {image.content for image in await all_images(catalog)}
        async with client.delete(f"/api/libraries/{first['_id']}") as response:
            body = await response.json()
            assert (response.status, body["state"]) == (202, "removing")
        await wait_until_indexed(client, 3)
        after = {image.content for image in await all_images(catalog)}
        assert len(before - after) == 2
        assert await objects_exist(blobs, after) == [True] * 6
        assert await objects_exist(blobs, before - after) == [False] * 4
        await assert_counts_exact(catalog)
        assert sorted(path.name for path in (tmp_path / "first").glob("*.jpg")) == ["1.jpg", "2.jpg", "3.jpg"]
        # The same folder can be added again.
        await add(client, tmp_path / "first")
        await wait_until_indexed(client, 3, 3)
        assert await objects_exist(blobs, before) == [True] * 10
        await assert_counts_exact(catalog)


async def test_removal_without_a_daemon_reports_it_and_continues_with_one(
    client: Client, ingest: Callable[[], Any], catalog: Catalog, tmp_path: Path
) -> None:
    async with ingest():
        library = await add(client, create_folder(tmp_path, "first", 1, 2))
        await wait_until_indexed(client, 2)
    async with client.delete(f"/api/libraries/{library['_id']}") as response:
        assert response.status == 202
    async with client.get(f"/api/libraries/{library['_id']}/progress") as response:
        progress = await response.json()
    removal = progress["removal"]
    assert (progress["state"], removal["total"], removal["done"]) == ("removing", 2, 0)
    assert "no ingest service is running" in removal["message"]
    assert len(await all_images(catalog)) == 2
    async with ingest():
        await wait_until_indexed(client)
    assert await all_images(catalog) == []
    await assert_counts_exact(catalog)


async def test_removal_that_failed_at_any_step_can_be_continued(
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
        added = await add(client, create_folder(tmp_path, "first", *range(5)))
        await wait_until_indexed(client, 5)
    contents = {image.content for image in await all_images(catalog)}
    library = await catalog.libraries.begin_removal(added["_id"])
    assert library is not None
    methods = ("_mark_contents", "count_objects_left", "delete_key", "unmark", "delete_library")
    owners = (
        catalog.library_removal,
        catalog.library_removal,
        blobs,
        catalog.deletion_queue,
        catalog.library_removal,
    )
    for method, owner in zip(methods, owners, strict=True):
        lease = await catalog.leases.acquire(library.id, "test", 60)
        with monkeypatch.context() as broken:
            broken.setattr(owner, method, _fail)
            with pytest.raises(RuntimeError):
                await LibraryRemover(catalog, blobs, mark_age_s=0).run(library, lease.token)
        await assert_counts_exact(catalog)
    stale = lease.token
    lease = await catalog.leases.acquire(library.id, "test", 60)
    with pytest.raises(LeaseLost):
        await LibraryRemover(catalog, blobs, mark_age_s=0).run(library, stale)
    await LibraryRemover(catalog, blobs, mark_age_s=0).run(library, lease.token)
    assert await catalog.libraries.list_all() == []
    assert await objects_exist(blobs, contents) == [False] * 10


async def _fail(*_: object) -> None:
    raise RuntimeError("failed on purpose")
