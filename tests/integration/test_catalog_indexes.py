"""Making indexes over a catalog that is there already."""

from typing import Any

from pymongo import MongoClient

from bench.lib import million_images
from tagify.catalog import Catalog, ImageFilter
from tagify.settings import CommonSettings
from tests.conftest import Values


async def test_indexes_may_take_longer_than_a_call(mongo_values: Values) -> None:
    with MongoClient[dict[str, Any]](mongo_values["mongo_uri"], w=1) as client:
        million_images.fill(client.get_database(mongo_values["mongo_database"]), 20_000)
    impatient = Catalog(CommonSettings(**mongo_values, mongo_timeout_s=0.2))
    try:
        await impatient.ensure_indexes()
    finally:
        await impatient.close()
    catalog = Catalog(CommonSettings(**mongo_values))
    try:
        assert len((await catalog.listing.page(ImageFilter(), limit=60)).tiles) == 60
    finally:
        await catalog.close()
