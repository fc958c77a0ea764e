"""A folder whose file system hangs: the API, `tagify doctor` and `tagify libraries` answer in time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from api import folder_threads
from api.app import build
from tagify.cli import libraries
from tagify.doctor import host
from tagify.errors import TagifyError
from tagify.settings import ApiSettings
from tests.conftest import Values
from tests.support.failing_disk import failing_disk

MakeClient = Callable[..., Awaitable[TestClient[Any, Any]]]
DEADLINE_S = 0.5


@pytest.fixture
async def hung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """A folder that hangs, and one beside it that does not: `healthy`."""
    monkeypatch.setattr(folder_threads, "DEADLINE_S", DEADLINE_S)
    monkeypatch.setattr(host, "COUNT_TIMEOUT_S", DEADLINE_S)
    monkeypatch.setattr(libraries, "FOLDER_TIMEOUT_S", DEADLINE_S)
    for name in ("disk", "hung", "healthy"):
        (tmp_path / name).mkdir()
    async with failing_disk(tmp_path / "disk", tmp_path / "hung", tmp_path / "fault") as disk:
        disk.freeze()
        yield tmp_path / "hung"


async def test_the_api_refuses_the_folder_and_adds_others(
    hung: Path, aiohttp_client: MakeClient, mongo_values: Values
) -> None:
    roots = (hung, hung.parent / "healthy")
    client = await aiohttp_client(build(ApiSettings(**mongo_values, library_roots=roots)))
    for _ in range(6):
        async with client.post("/api/libraries", json={"path": str(hung)}) as response:
            assert response.status == 503
            assert (await response.json())["detail"] == f"the folder {hung} does not answer within 0.5 s"
    async with asyncio.timeout(5), client.post("/api/libraries", json={"path": str(roots[1])}) as response:
        assert response.status == 201


async def test_doctor_names_the_folder_and_counts_others(hung: Path) -> None:
    async with asyncio.timeout(5):
        folders, findings = await host.count_folders([hung, hung.parent / "healthy"])
    assert folders == 1
    assert [finding.message for finding in findings] == [f"{hung}: its folders are not listed within 0.5 s"]


async def test_a_library_is_not_moved_to_the_folder(hung: Path, tmp_path: Path) -> None:
    with pytest.raises(TagifyError, match="does not answer within"):
        async with asyncio.timeout(5):
            await asyncio.to_thread(libraries.move, tmp_path, "any", str(hung))
