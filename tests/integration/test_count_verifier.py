"""Verification and repair of stored counts, also while tags change."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tagify.catalog import Catalog, ImageFilter, Miscount, Misspelling
from tagify.cli.main import main
from tagify.model import Library
from tests.conftest import Values
from tests.support.catalog_fixtures import assert_counts_exact, insert_images


def damage(values: Values) -> None:
    """Write wrong counts directly to the database."""
    with MongoClient[dict[str, Any]](values["mongo_uri"]) as client:
        database = client[values["mongo_database"]]
        database.tags.update_many({"key": "sea"}, {"$inc": {"count": 3}})
        database.tags.delete_many({"key": "sun"})
        doc_id = {"library_id": None, "key": "none"}
        database.tags.insert_one({"_id": doc_id, **doc_id, "name": "None", "count": 7})
        database.libraries.update_one({}, {"$inc": {"indexed_count": -1}})


async def miscounts(catalog: Catalog) -> list[Miscount]:
    """The discrepancies, all of which must be miscounts."""
    discrepancies = await catalog.count_verifier.verify()
    assert all(isinstance(item, Miscount) for item in discrepancies)
    return [item for item in discrepancies if isinstance(item, Miscount)]


async def test_wrong_counts_are_reported_and_repaired(
    catalog: Catalog, library: Library, mongo_values: Values
) -> None:
    await insert_images(catalog, library, 3, "Sea", "sun")
    await assert_counts_exact(catalog)
    await asyncio.to_thread(damage, mongo_values)
    discrepancies = await miscounts(catalog)
    assert sorted((bool(item.library_id), item.tag, item.stored, item.counted) for item in discrepancies) == [
        (False, "None", 7, 0),
        (False, "Sea", 6, 3),
        (False, "sun", 0, 3),
        (True, "", 2, 3),
        (True, "Sea", 6, 3),
        (True, "sun", 0, 3),
    ]
    await catalog.count_verifier.repair(discrepancies)
    await assert_counts_exact(catalog)
    assert [tag.name for tag in await catalog.tags.most_used(library.id, prefix="SU", limit=9)] == ["sun"]


def misspell(values: Values) -> None:
    """One image with another spelling of its tag, one with two spellings, one library count with a third."""
    with MongoClient[dict[str, Any]](values["mongo_uri"]) as client:
        database = client[values["mongo_database"]]
        first, second = database.images.find({}, {"_id": 1}).sort("_id", 1).limit(2)
        database.images.update_one({"_id": first["_id"]}, {"$set": {"tags": ["SEA", "sun"]}})
        database.images.update_one({"_id": second["_id"]}, {"$set": {"tags": ["Sea", "sEa", "sun"]}})
        database.tags.update_one({"key": "sea", "library_id": {"$ne": None}}, {"$set": {"name": "seA"}})


async def test_different_spellings_are_reported_and_repaired(
    catalog: Catalog, library: Library, mongo_values: Values
) -> None:
    await insert_images(catalog, library, 3, "Sea", "sun")
    await asyncio.to_thread(misspell, mongo_values)
    discrepancies = await catalog.count_verifier.verify()
    assert discrepancies[0] == Misspelling("Sea", ("SEA", "sEa", "seA"))
    await catalog.count_verifier.repair(discrepancies)
    await assert_counts_exact(catalog)
    for image_filter in (ImageFilter(tags=("sea",)), ImageFilter(library_id=library.id, tags=("sea", "sun"))):
        images = await catalog.listing.newest(image_filter, limit=9)
        assert [image.tags for image in images] == [("Sea", "sun")] * 3
    assert {tag.name: tag.count for tag in await catalog.tags.most_used(library.id, limit=9)} == {
        "Sea": 3,
        "sun": 3,
    }


async def test_repair_beside_concurrent_changes_keeps_counts_exact(
    catalog: Catalog, library: Library, mongo_values: Values
) -> None:
    ids = await insert_images(catalog, library, 40, "Sea", "sun")
    await asyncio.to_thread(damage, mongo_values)
    discrepancies = await catalog.count_verifier.verify()

    async def change(number: int) -> None:
        for image_id in ids[number::4]:
            await catalog.tags.change([image_id], ["new"], ["sea"] if number % 2 else ["sun"])

    await asyncio.gather(
        *(change(number) for number in range(4)), catalog.count_verifier.repair(discrepancies)
    )
    await assert_counts_exact(catalog)


async def test_command_reports_discrepancies_by_its_exit_status(
    catalog: Catalog,
    library: Library,
    mongo_values: Values,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in mongo_values.items():
        monkeypatch.setenv(f"TAGIFY_{name.upper()}", value)
    await insert_images(catalog, library, 3, "sea", "sun")

    async def run(*options: str) -> tuple[int, str]:
        arguments = ["tags", "--data-dir", str(tmp_path), "verify", *options]
        return await asyncio.to_thread(main, arguments), capsys.readouterr().out

    assert await run() == (0, "every count is exact\n")
    await asyncio.to_thread(damage, mongo_values)
    status, text = await run()
    assert status == 1
    assert "all libraries: tag 'sea': stored 6, counted 3" in text
    status, text = await run("--repair")
    assert status == 0
    assert "6 counts or spellings were wrong; all repaired" in text
    assert await run() == (0, "every count is exact\n")


def store_old_key(values: Values) -> None:
    """Give the tag Maße the key that version 0.1.0 stored."""
    with MongoClient[dict[str, Any]](values["mongo_uri"]) as client:
        database = client.get_database(values["mongo_database"])
        database.migrations.delete_many({})
        tags = database.tags
        for doc in list(tags.find({"key": "maße"})):
            tags.delete_one({"_id": doc["_id"]})
            doc_id = {**doc["_id"], "key": "masse"}
            tags.insert_one({**doc, "_id": doc_id, "key": "masse", "heads": ["m", "ma"]})


@pytest.mark.parametrize("by_repair", [False, True])
async def test_a_tag_with_a_key_of_full_case_folding_gets_its_key(
    catalog: Catalog, mongo_values: Values, library: Library, by_repair: bool
) -> None:
    ids = await insert_images(catalog, library, 3, "Maße")
    await asyncio.to_thread(store_old_key, mongo_values)
    if by_repair:
        await catalog.count_verifier.repair(await catalog.count_verifier.verify())
    else:
        await catalog.ensure_indexes()
    await catalog.tags.change(ids[:1], add=["Masse"], remove=[])
    counts = {tag.name: tag.count for tag in await catalog.tags.most_used(None, prefix="ma", limit=10)}
    assert counts == {"Maße": 3, "Masse": 1}
    assert await catalog.count_verifier.verify() == []
    assert len(await catalog.listing.newest(ImageFilter(tags=("MAẞE",)), limit=10)) == 3
