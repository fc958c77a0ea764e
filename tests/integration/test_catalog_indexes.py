"""Creating indexes on an existing catalog."""

from typing import Any

from pymongo import MongoClient

from bench.lib import million_images
from tagify.catalog import Catalog, ImageFilter
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
