"""Libraries over HTTP: which folders are accepted, and the reasons of rejections."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from api.app import build
from tagify.settings import ApiSettings
from tests.conftest import Values

Client = TestClient[Any, Any]
MakeClient = Callable[..., Awaitable[Client]]


@pytest.fixture
async def client(aiohttp_client: MakeClient, mongo_values: Values, tmp_path: Path) -> Client:
    (tmp_path / "roots").mkdir()
    client_ = await aiohttp_client(build(ApiSettings(**mongo_values, library_roots=(tmp_path / "roots",))))
    # Waits for the unique index: it rejects a second library with the same path.
    async with client_.get("/api/libraries") as response:
        assert response.status == 200
    return client_


async def add_library(client: Client, path: object, **members: object) -> tuple[int, Any]:
    async with client.post("/api/libraries", json={"path": path, **members}) as response:
        return response.status, await response.json(content_type=None)


async def test_a_library_is_added_renamed_rescanned_and_removed(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "roots" / "photos"
    folder.mkdir()
    status, library = await add_library(client, str(folder))
    assert (status, library["name"], library["path"]) == (201, "photos", str(folder))
    assert {"scanning", "indexed_count", "last_scanned", "state", "scan_error"} <= library.keys()
    url = f"/api/libraries/{library['_id']}"
    async with client.patch(url, json={"name": "Pictures"}) as response:
        assert (await response.json())["name"] == "Pictures"
    for name in ("a\x1b[31m", "a\u202eb", "a\nb", "\x9b1m"):
        async with client.patch(url, json={"name": name}) as response:
            assert response.status == 400
    async with client.post(f"{url}/rescan") as response:
        assert response.status == 202
    async with client.get(f"{url}/progress") as response:
        assert (await response.json())["scanning"] is False
    async with client.delete(url) as response:
        assert response.status == 202
    async with client.delete(url) as response:
        assert response.status == 202
    async with client.get("/api/libraries") as response:
        assert [item["state"] for item in await response.json()] == ["removing"]
        etag = response.headers["ETag"]
    async with client.get("/api/libraries", headers={"If-None-Match": etag}) as response:
        assert response.status == 304


async def test_invalid_library_paths_are_rejected_with_the_reason(client: Client, tmp_path: Path) -> None:
    roots = tmp_path / "roots"
    (roots / "file.txt").write_text("x")
    (tmp_path / "outside").mkdir()
    (roots / "escape").symlink_to(tmp_path / "outside")
    (roots / "taken" / "inner").mkdir(parents=True)
    assert (await add_library(client, str(roots / "taken")))[0] == 201
    for path, status, reason in (
        ("relative/path", 400, "absolute"),
        (str(roots / "none"), 400, "no folder"),
        (str(roots / "file.txt"), 400, "not a folder"),
        (str(tmp_path / "outside"), 400, "outside the allowed roots"),
        (str(roots / "escape"), 400, "outside the allowed roots"),
        (str(roots / "taken" / ".." / ".." / "outside"), 400, "outside the allowed roots"),
        (str(roots / "taken"), 409, "overlaps"),
        (str(roots / "taken" / "inner"), 409, "overlaps"),
        (str(roots), 409, "overlaps"),
        (7, 400, "`path` must be"),
    ):
        actual, problem = await add_library(client, path)
        assert actual == status, (path, problem)
        assert reason in problem["detail"]


async def test_concurrent_adds_of_nested_paths_create_one_library(client: Client, tmp_path: Path) -> None:
    for number in range(5):
        folders = [tmp_path / "roots" / str(number) / Path(*"abc"[:depth]) for depth in range(4)]
        folders[-1].mkdir(parents=True)
        responses = await asyncio.gather(*(add_library(client, str(folder)) for folder in folders))
        assert sorted(status for status, _ in responses) == [201, 409, 409, 409], responses
        assert all("overlaps the library at" in body["detail"] for status, body in responses if status == 409)


async def test_unknown_libraries_are_404(client: Client) -> None:
    for path in ("/api/libraries/nonsense/progress", "/api/libraries/000000000000000000000000/progress"):
        async with client.get(path) as response:
            assert response.status == 404
