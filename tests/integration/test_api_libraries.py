"""Libraries through HTTP: which folders are taken, and every mistake with its reason."""

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
    made = await aiohttp_client(build(ApiSettings(**mongo_values, library_roots=(tmp_path / "roots",))))
    # The unique index is what refuses a second library at a place.
    async with made.get("/api/libraries") as response:
        assert response.status == 200
    return made


async def add_library(client: Client, path: object, **more: object) -> tuple[int, Any]:
    async with client.post("/api/libraries", json={"path": path, **more}) as response:
        return response.status, await response.json(content_type=None)


async def test_a_library_is_added_renamed_rescanned_and_removed(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "roots" / "photos"
    folder.mkdir()
    status, library = await add_library(client, str(folder))
    assert (status, library["name"], library["path"]) == (201, "photos", str(folder))
    assert {"scanning", "indexed_count", "last_scanned", "state", "scan_error"} <= library.keys()
    place = f"/api/libraries/{library['_id']}"
    async with client.patch(place, json={"name": "Pictures"}) as response:
        assert (await response.json())["name"] == "Pictures"
    async with client.post(f"{place}/rescan") as response:
        assert response.status == 202
    async with client.get(f"{place}/progress") as response:
        assert (await response.json())["scanning"] is False
    async with client.delete(place) as response:
        assert response.status == 202
    async with client.delete(place) as response:
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
        (7, 400, "path must be"),
    ):
        got, problem = await add_library(client, path)
        assert got == status, (path, problem)
        assert reason in problem["detail"]


async def test_concurrent_adds_of_nested_paths_create_one_library(client: Client, tmp_path: Path) -> None:
    for number in range(5):
        folders = [tmp_path / "roots" / str(number) / Path(*"abc"[:depth]) for depth in range(4)]
        folders[-1].mkdir(parents=True)
        answers = await asyncio.gather(*(add_library(client, str(folder)) for folder in folders))
        assert sorted(status for status, _ in answers) == [201, 409, 409, 409], answers
        assert all("overlaps the library at" in body["detail"] for status, body in answers if status == 409)


async def test_unknown_libraries_are_404(client: Client) -> None:
    for path in ("/api/libraries/nonsense/progress", "/api/libraries/000000000000000000000000/progress"):
        async with client.get(path) as response:
            assert response.status == 404
