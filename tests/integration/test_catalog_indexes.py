"""Creating indexes on an existing catalog."""

from typing import Any

import pytest
from pymongo import MongoClient

from bench.lib import million_images
from tagify.catalog import Catalog, ImageFilter, migrations
from tagify.settings import CommonSettings
from tests.conftest import Values


async def test_index_creation_may_exceed_the_timeout_of_other_calls(mongo_values: Values) -> None:
    with MongoClient[dict[str, Any]](mongo_values["mongo_uri"], w=1) as client:
        million_images.fill(client.get_database(mongo_values["mongo_database"]), 20_000)
    catalog_with_short_timeout = Catalog(CommonSettings(**mongo_values, mongo_timeout_s=0.2))
    try:
        await catalog_with_short_timeout.ensure_indexes()
    finally:
        await catalog_with_short_timeout.close()
    catalog = Catalog(CommonSettings(**mongo_values))
    try:
        assert len((await catalog.listing.page(ImageFilter(), limit=60)).tiles) == 60
    finally:
        await catalog.close()


async def test_a_migration_runs_once_and_again_if_it_was_interrupted(
    mongo_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    async def interrupted_at_first(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyError("interrupted")

    monkeypatch.setattr(migrations, "recount_failed", interrupted_at_first)
    catalog = Catalog(CommonSettings(**mongo_values))
    try:
        with pytest.raises(KeyError):
            await catalog.ensure_indexes()
        await catalog.ensure_indexes()
        await catalog.ensure_indexes()
    finally:
        await catalog.close()
    assert calls == 2
