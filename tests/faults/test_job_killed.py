"""kill -9 of the API process that runs a job: another process continues it, and all counts stay exact."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tagify.catalog import Catalog
from tests.conftest import Values
from tests.support.catalog_fixtures import assert_counts_exact, insert_images
from tests.support.killable_process import api_program, killable_process
from tests.support.waiting import until

IMAGES = 6000


@pytest.mark.slow
async def test_job_is_continued_after_its_process_is_killed(
    catalog: Catalog, mongo_values: Values, tmp_path: Path
) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    ids = await insert_images(catalog, library, IMAGES, "sea")
    await catalog.tags.change(ids[::3], ["ocean"], [])
    (first, one), (second, two) = (api_program(tmp_path, name, **mongo_values) for name in ("api-1", "api-2"))
    async with killable_process(first) as killed:
        job = await start_rename(one)
        await until(lambda: has_progress(one, job), timeout_s=60)
        await killed.kill()
        async with killable_process(second):
            progress = await get_job(two, job)
            assert (progress["state"], 0 < progress["done"] < IMAGES) == ("running", True)
            await assert_counts_exact(catalog)
            progress = await until(lambda: finished(two, job), timeout_s=120)
    assert (progress["done"], progress["error"]) == (IMAGES, "")
    assert {tag.name: tag.count for tag in await catalog.tags.most_used(limit=9)} == {"ocean": IMAGES}
    await assert_counts_exact(catalog)


async def start_rename(url: str) -> str:
    body = {"from": "sea", "to": "ocean"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/api/tags/rename", json=body) as response,
    ):
        return str((await response.json())["_id"])


async def get_job(url: str, job: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/jobs/{job}") as response:
        body: dict[str, Any] = await response.json()
        return body


async def has_progress(url: str, job: str) -> bool:
    return bool((await get_job(url, job))["done"])


async def finished(url: str, job: str) -> dict[str, Any]:
    body = await get_job(url, job)
    return body if body["state"] == "done" else {}
