"""Tags over HTTP: results of changes, undo, counts and their entity tag, autocomplete."""

from datetime import timedelta
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tagify.catalog import Catalog
from tagify.catalog.transactions import Transactions
from tagify.errors import Unavailable
from tagify.model import Library
from tests.support.catalog_fixtures import assert_counts_exact, insert_images, tags_of

Client = TestClient[Any, Any]


async def post(client: Client, path: str, body: object, status: int = 200) -> Any:
    async with client.post(path, json=body) as response:
        result = await response.json(content_type=None)
        assert response.status == status, result
        return result


async def test_a_change_returns_its_result_and_can_be_undone(
    client: Client, catalog: Catalog, library: Library
) -> None:
    ids = await insert_images(catalog, library, 4, "old")
    await catalog.tags.change(ids[:1], ["new"], [])
    body = {"ids": [*ids, "0" * 24], "add": ["NEW"], "remove": ["Old"]}
    result = await post(client, "/api/images/tags", body)
    assert (result["changed"], result["added"], result["removed"]) == (4, {"new": 3}, {"old": 4})
    assert result["images"][0] == {"_id": ids[0], "tags": ["new"], "added": [], "removed": ["old"]}
    again = await post(client, "/api/images/tags", body)
    assert (again["changed"], again["undo"]) == (0, None)
    undone = await post(client, "/api/tags/undo", {"undo": result["undo"]})
    assert (undone["changed"], undone["added"], undone["removed"]) == (4, {"old": 4}, {"new": 3})
    assert [await tags_of(catalog, name) for name in ids] == [("old", "new"), *[("old",)] * 3]
    assert (await post(client, "/api/tags/undo", {"undo": result["undo"]}))["changed"] == 0
    await assert_counts_exact(catalog)


async def test_undo_skips_tags_changed_later(client: Client, catalog: Catalog, library: Library) -> None:
    ids = await insert_images(catalog, library, 3)
    result = await post(client, "/api/images/tags", {"ids": ids, "add": ["sea", "sun"]})
    await post(client, f"/api/tags/remove/{ids[0]}", ["sea"])
    await post(client, f"/api/tags/apply/{ids[0]}", ["sea"])
    await post(client, f"/api/tags/apply/{ids[1]}", ["other"])
    assert (await post(client, "/api/tags/undo", {"undo": result["undo"]}))["changed"] == 3
    assert [await tags_of(catalog, name) for name in ids] == [("sea",), ("other",), ()]


async def test_an_invalid_undo_token_gives_a_problem(client: Client) -> None:
    for body, status in (({"undo": "nonsense"}, 404), ({}, 400), ([], 400), ({"undo": "x" * 101}, 400)):
        assert (await post(client, "/api/tags/undo", body, status))["detail"]


async def test_undo_expires_after_an_hour(
    client: Client, catalog: Catalog, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await insert_images(catalog, library, 1)
    result = await post(client, f"/api/tags/apply/{ids[0]}", ["sea"])
    # The record still exists: MongoDB's TTL monitor deletes it with a delay.
    monkeypatch.setattr("tagify.catalog.tags.undo_log.UNDO_LIFETIME", timedelta())
    await post(client, "/api/tags/undo", {"undo": result["undo"]}, 404)
    assert await tags_of(catalog, ids[0]) == ("sea",)


async def test_an_interrupted_change_reports_its_progress(
    client: Client, catalog: Catalog, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagify.catalog.tags.repository.BATCH", 2)
    ids = await insert_images(catalog, library, 5)
    run, runs = Transactions.run, 0

    async def fail_from_the_third(self: Transactions, work: Any) -> Any:
        nonlocal runs
        runs += 1
        if runs >= 3:
            raise Unavailable("MongoDB does not answer")
        return await run(self, work)

    with monkeypatch.context() as patch:
        patch.setattr(Transactions, "run", fail_from_the_third)
        problem = await post(client, "/api/images/tags", {"ids": ids, "add": ["sea"]}, 503)
    assert problem["changed"] == 4
    await assert_counts_exact(catalog)
    assert (await post(client, "/api/images/tags", {"ids": ids, "add": ["sea"]}))["changed"] == 1
    assert (await post(client, "/api/tags/undo", {"undo": problem["undo"]}))["changed"] == 4


async def test_the_etag_of_the_counts_changes_with_the_counts(
    client: Client, catalog: Catalog, library: Library
) -> None:
    ids = await insert_images(catalog, library, 2, "sea")

    async def fetch(etag: str = "") -> tuple[int, str, bytes]:
        async with client.get("/api/tags", headers={"If-None-Match": etag} if etag else {}) as response:
            return response.status, response.headers["ETag"], await response.read()

    status, etag, _ = await fetch()
    assert status == 200
    assert await fetch(etag) == (304, etag, b"")
    assert (await fetch(etag.removeprefix("W/")))[0] == 304
    await catalog.tags.change(ids[:1], ["sun"], [])
    status, other, _ = await fetch(etag)
    assert (status, other != etag) == (200, True)
    await catalog.tags.change(ids[:1], [], ["sun"])
    assert (await fetch())[1] == etag


async def test_autocomplete_ignores_case_and_returns_most_used_first(
    client: Client, catalog: Catalog, library: Library
) -> None:
    ids = await insert_images(catalog, library, 3)
    for number, names in enumerate((["Sea", "seashore"], ["seaside town", "SEASIDE view"], ["sea.*"])):
        await catalog.tags.change(ids[: number + 1], names, [])

    async def complete(prefix: str) -> list[str]:
        async with client.get("/api/tags", params={"prefix": prefix, "limit": "4"}) as response:
            return [tag["_id"] for tag in await response.json()]

    assert await complete("SE") == ["sea.*", "seaside town", "SEASIDE view", "Sea"]
    assert await complete("seaside ") == ["seaside town", "SEASIDE view"]
    assert await complete("seaside V") == ["SEASIDE view"]
    assert await complete("sea.") == ["sea.*"]
    assert await complete("shore") == []


async def test_too_many_images_or_tags_in_one_change_are_rejected(client: Client) -> None:
    body = {"ids": [f"{number:024x}" for number in range(10_001)], "add": ["sea"]}
    assert "at most 10000 images" in (await post(client, "/api/images/tags", body, 400))["detail"]
    body = {"ids": [], "add": [f"t{number}" for number in range(101)]}
    assert "at most 100 tags" in (await post(client, "/api/images/tags", body, 400))["detail"]


@pytest.mark.slow
async def test_ten_thousand_images_change_in_one_request_and_undo(
    client: Client, catalog: Catalog, library: Library
) -> None:
    ids = await insert_images(catalog, library, 10_000, "old")
    await catalog.tags.change(ids[::2], ["new"], [])
    result = await post(client, "/api/images/tags", {"ids": ids, "add": ["new"], "remove": ["old"]})
    assert (result["changed"], result["added"], result["removed"]) == (10_000, {"new": 5000}, {"old": 10_000})
    # Only the tags that it added: half of the images had the tag before, and one was changed later.
    await post(client, f"/api/tags/remove/{ids[1]}", ["new"])
    undone = await post(client, "/api/tags/undo", {"undo": result["undo"]})
    assert (undone["added"], undone["removed"]) == ({"old": 10_000}, {"new": 4999})
    counts = {tag.name: tag.count for tag in await catalog.tags.most_used(limit=9)}
    assert counts == {"old": 10_000, "new": 5000}
    await assert_counts_exact(catalog)
