"""kill -9 of the api that works on a job: another goes on with it, and every count is exact."""

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
async def test_a_job_outlives_the_api_that_works_on_it(
    catalog: Catalog, mongo_values: Values, tmp_path: Path
) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    ids = await insert_images(catalog, library, IMAGES, "sea")
    await catalog.tags.change(ids[::3], ["ocean"], [])
    (first, one), (second, two) = (api_program(tmp_path, name, **mongo_values) for name in ("api-1", "api-2"))
    async with killable_process(first) as killed:
        job = await asked(one)
        await until(lambda: is_begun(one, job), timeout_s=60)
        await killed.kill()
        async with killable_process(second):
            found = await get(two, job)
            assert (found["state"], 0 < found["done"] < IMAGES) == ("running", True)
            await assert_counts_exact(catalog)
            found = await until(lambda: done(two, job), timeout_s=120)
    assert (found["done"], found["error"]) == (IMAGES, "")
    assert {tag.name: tag.count for tag in await catalog.tags.most_used(limit=9)} == {"ocean": IMAGES}
    await assert_counts_exact(catalog)


async def asked(url: str) -> str:
    body = {"from": "sea", "to": "ocean"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/api/tags/rename", json=body) as response,
    ):
        return str((await response.json())["_id"])


async def get(url: str, job: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/jobs/{job}") as response:
        found: dict[str, Any] = await response.json()
        return found


async def is_begun(url: str, job: str) -> bool:
    return bool((await get(url, job))["done"])


async def done(url: str, job: str) -> dict[str, Any]:
    found = await get(url, job)
    return found if found["state"] == "done" else {}
