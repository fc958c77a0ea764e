"""Rename and merge jobs: counts exact after each step, resumed by another process, one job at a time."""

import asyncio
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tagify.catalog import Catalog, ImageFilter, JobLeaseLost, MarkMissing, UpsertImage
from tagify.model import FileFacts, JobState, Library, Picture
from tests.support.catalog_fixtures import assert_counts_exact, insert_images, tags_of
from tests.support.waiting import until

Client = TestClient[Any, Any]


async def post(client: Client, body: object, status: int) -> Any:
    async with client.post("/api/tags/rename", json=body) as response:
        answer = await response.json(content_type=None)
        assert response.status == status, answer
        return answer | {"location": response.headers.get("Location")}


async def wait_until_finished(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    async def probe() -> dict[str, Any] | None:
        async with client.get(job["location"]) as response:
            body: dict[str, Any] = await response.json()
        return body if body["finished_at"] else None

    finished_job = await until(probe)
    assert finished_job is not None
    return finished_job


async def test_rename_runs_as_a_job(client: Client, catalog: Catalog, library: Library) -> None:
    other_library = await catalog.libraries.create("Other", "/srv/other")
    ids = [
        *await insert_images(catalog, library, 3, "sea", "sun"),
        *await insert_images(catalog, other_library, 2, "Sea", "Ocean"),
    ]
    job = await post(client, {"from": "SEA", "to": "ocean"}, 202)
    assert (job["state"], job["from"], job["total"]) == ("waiting", "sea", 5)
    done = await wait_until_finished(client, job)
    assert (done["state"], done["done"], done["error"]) == ("done", 5, "")
    assert [await tags_of(catalog, image_id) for image_id in ids] == [("Ocean", "sun")] * 3 + [("Ocean",)] * 2
    await assert_counts_exact(catalog)


async def test_rename_in_one_library_leaves_other_libraries_unchanged(
    client: Client, catalog: Catalog, library: Library
) -> None:
    other_library = await catalog.libraries.create("Other", "/srv/other")
    ids = [
        *await insert_images(catalog, library, 1, "sea"),
        *await insert_images(catalog, other_library, 1, "sea"),
    ]
    await wait_until_finished(
        client, await post(client, {"from": "sea", "to": "Meer", "library_id": library.id}, 202)
    )
    assert [await tags_of(catalog, image_id) for image_id in ids] == [("Meer",), ("sea",)]
    await assert_counts_exact(catalog)


async def test_rename_to_other_case_changes_the_spelling_everywhere(
    client: Client, catalog: Catalog, library: Library
) -> None:
    ids = await insert_images(catalog, library, 3, "sea")
    # Three queued at once: the later ones find another spelling than when they were enqueued.
    jobs = [await post(client, {"from": "sea", "to": name}, 202) for name in ("SEA", "Sea", "Sea")]
    for job in jobs:
        await wait_until_finished(client, job)
    assert {await tags_of(catalog, image_id) for image_id in ids} == {("Sea",)}
    assert [tag.name for tag in await catalog.tags.most_used(library.id, limit=9)] == ["Sea"]
    await assert_counts_exact(catalog)


async def test_lists_are_complete_while_a_tag_is_respelled(
    catalog: Catalog, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagify.catalog.tags.rename.STEP_SIZE", 2)
    ids = await insert_images(catalog, library, 5, "sea", "sun")
    await catalog.tag_jobs.enqueue_rename("sea", "SEA", None)
    claimed = await catalog.tag_jobs.acquire_oldest()
    assert claimed is not None
    unfinished = True
    while unfinished:
        unfinished = await catalog.tag_jobs.run_step(claimed)
        for image_filter in (
            ImageFilter(tags=("sea",)),
            ImageFilter(tags=("Sea", "sun"), library_id=library.id),
            ImageFilter(tags=("SEA", "none"), logic="or"),
        ):
            page = await catalog.listing.page(image_filter, limit=9)
            assert [tile.id for tile in page.tiles] == ids[::-1]
        assert (await catalog.listing.page(ImageFilter(exclude=("sea",)), limit=9)).tiles == ()
        assert {tag.name for tag in await catalog.tags.most_used(library.id, limit=9)} == {"SEA", "sun"}
    assert {await tags_of(catalog, image_id) for image_id in ids} == {("SEA", "sun")}
    await assert_counts_exact(catalog)


async def test_invalid_requests_are_rejected_with_a_reason(client: Client, library: Library) -> None:
    for body, status, reason in (
        ({"from": "none", "to": "x"}, 404, "no tag none"),
        ({"from": "sea"}, 400, "the body must be"),
        ({"from": "sea", "to": " "}, 400, "to: a tag must not be empty"),
        ({"from": "sea", "to": "Sea", "library_id": library.id}, 400, "applies to all libraries"),
        ({"from": "sea", "to": "x", "library_id": "y"}, 400, "`library_id` must be"),
        ([], 400, "the body must be"),
    ):
        assert reason in (await post(client, body, status))["detail"]
    for name in ("nonsense", "0" * 24):
        async with client.get(f"/api/jobs/{name}") as response:
            assert response.status == 404


async def test_missing_image_is_restored_with_the_new_tag(catalog: Catalog, library: Library) -> None:
    ids = await insert_images(catalog, library, 2, "sea")
    image = await catalog.images.get(ids[0])
    assert image is not None
    await catalog.images.write([MarkMissing(image.id, library.id, image.file.path)])
    await catalog.tag_jobs.enqueue_rename("sea", "ocean", None)
    claimed = await catalog.tag_jobs.acquire_oldest()
    assert claimed is not None
    while await catalog.tag_jobs.run_step(claimed):
        pass
    picture = Picture("image/jpeg", 1, 1, b"")
    await catalog.images.write(
        [UpsertImage(library.id, FileFacts("back.jpg", 1, 1, 1), image.content, picture)]
    )
    assert await tags_of(catalog, ids[0]) == ("ocean",)
    await assert_counts_exact(catalog)


async def test_worker_with_expired_lease_commits_nothing(
    catalog: Catalog, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagify.catalog.tags.rename.STEP_SIZE", 2)
    monkeypatch.setattr("tagify.catalog.tags.jobs.LEASE_S", 0)
    await insert_images(catalog, library, 5, "sea")
    job = await catalog.tag_jobs.enqueue_rename("sea", "ocean", None)
    waiting = await catalog.tag_jobs.enqueue_rename("sea", "sun", None)
    first = await catalog.tag_jobs.acquire_oldest()
    assert first is not None
    assert await catalog.tag_jobs.run_step(first)
    second = await catalog.tag_jobs.acquire_oldest()
    assert second is not None
    # The oldest unfinished job is always the one acquired.
    assert first.job.id == second.job.id == job.id
    with pytest.raises(JobLeaseLost):
        await catalog.tag_jobs.run_step(first)
    await assert_counts_exact(catalog)
    while await catalog.tag_jobs.run_step(second):
        pass
    jobs = [await catalog.tag_jobs.get(job_id) for job_id in (job.id, waiting.id)]
    assert [(item.state, item.done) for item in jobs if item] == [(JobState.DONE, 5), (JobState.WAITING, 0)]


async def test_job_beside_changes_of_the_same_tags_keeps_counts_exact(
    catalog: Catalog, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagify.catalog.tags.rename.STEP_SIZE", 5)
    ids = await insert_images(catalog, library, 40, "sea")
    await catalog.tag_jobs.enqueue_rename("sea", "ocean", None)
    claimed = await catalog.tag_jobs.acquire_oldest()
    assert claimed is not None

    async def change() -> None:
        for image_id in ids:
            await catalog.tags.change([image_id], ["sun"], ["ocean"])

    async def work() -> None:
        while await catalog.tag_jobs.run_step(claimed):
            pass

    await asyncio.gather(change(), work())
    await assert_counts_exact(catalog)
    assert "sea" not in {tag.name for tag in await catalog.tags.most_used(limit=9)}
