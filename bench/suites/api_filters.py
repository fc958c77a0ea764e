"""Filters that are hard on an index, at a million images: `python -m bench.suites.api_filters`.

Each is a page of 60 by the catalog, beside the same filter put to the server as it stands, which plans it
itself. Both take turns; medians in ms. With `--folder` the images are those of `bench.suites.api_pages`.
"""

import argparse
import asyncio
import functools
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo import AsyncMongoClient

from bench.lib import million_images
from bench.lib.servers import DATABASE, mongod, opened
from tagify.catalog import Catalog, ImageFilter, KeysetPosition
from tagify.model import ImageId

ROUNDS = 5
PAGE = 60
MIDDLE = KeysetPosition(None, ImageId(str(million_images.image_id(500_000))))
FILTERS = {
    "a rare tag": ImageFilter(tags=("tag 480",)),
    "a common tag and a rare one": ImageFilter(tags=("day", "tag 480")),
    "two common tags that meet": ImageFilter(tags=("day", "tag 000")),
    "two common tags that never meet": ImageFilter(tags=("day", "night")),
    "two runs of images that never meet": ImageFilter(tags=("2016", "2023")),
    "three of many tags": ImageFilter(tags=("day", "tag 001", "tag 002"), logic="or"),
    "a common tag left out": ImageFilter(exclude=("day",)),
}


async def timed(work: Callable[[], Awaitable[Any]]) -> float:
    """How long it takes, in ms."""
    start = time.perf_counter()
    await work()
    return (time.perf_counter() - start) * 1000


async def examined(client: AsyncMongoClient[dict[str, Any]], work: Callable[[], Awaitable[Any]]) -> str:
    """The keys and documents that the server looks at for it, as its own profiler counts them."""
    database = client.get_database(DATABASE)
    await database.command("profile", 0)
    await database.drop_collection("system.profile")
    await database.command("profile", 2)
    await work()
    await database.command("profile", 0)
    costs = await database["system.profile"].find({"ns": f"{DATABASE}.images"}).to_list()
    keys, docs = (sum(cost[name] for cost in costs) for name in ("keysExamined", "docsExamined"))
    return f"{keys} keys and {docs} images looked at"


def as_it_stands(which: ImageFilter) -> dict[str, Any]:
    """The filter as people first write it."""
    tags = {"$all" if which.logic == "and" else "$in": list(which.tags)} if which.tags else {}
    return {"state": "ready", "tags": tags | ({"$nin": list(which.exclude)} if which.exclude else {})}


async def compare(catalog: Catalog, client: AsyncMongoClient[dict[str, Any]]) -> None:
    """Print both sides of each filter, of its first page and of one in the middle."""
    images = client.get_database(DATABASE).images
    for what, which in FILTERS.items():
        for where, place in {"first page": None, "a page in the middle": MIDDLE}.items():
            query = as_it_stands(which) | ({"_id": {"$lt": ObjectId(place.id)}} if place else {})
            page = functools.partial(catalog.listing.page, which, limit=PAGE, after=place)
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(await timed(page))
                theirs.append(await timed(images.find(query).sort("_id", -1).limit(PAGE).to_list))
            found = await page()
            short = f" (a short page of {len(found.tiles)})" if found.next and len(found.tiles) < PAGE else ""
            print(
                f"{what}, {where}: {statistics.median(ours):.1f} ms{short}, "
                f"{await examined(client, page)}; as it stands {statistics.median(theirs):.1f} ms"
            )


async def main(folder: Path, images: int) -> None:
    async with mongod(folder, images) as (uri, _), opened(uri) as catalog:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
        await compare(catalog, client)
        await client.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the database here")
    parser.add_argument("--images", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(given.folder or Path(temporary), given.images))
