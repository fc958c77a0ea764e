"""Filters that no single index answers, at a million images: `python -m bench.suites.api_filters`.

Each is a page of 60 by the catalog, compared with the same filter as a plain query that MongoDB plans itself.
Both interleaved; medians in ms. With `--folder` the images are those of `bench.suites.api_pages`.
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
from bench.lib.results import Results, recorded
from bench.lib.servers import DATABASE, mongod, open_catalog
from tagify.catalog import Catalog, ImageFilter, KeysetPosition
from tagify.model import ImageId

ROUNDS = 5
PAGE = 60
MIDDLE = KeysetPosition(None, ImageId(str(million_images.image_id(500_000))))
FILTERS = {
    "a rare tag": ImageFilter(tags=("tag 480",)),
    "a common tag and a rare one": ImageFilter(tags=("day", "tag 480")),
    "two common tags with common images": ImageFilter(tags=("day", "tag 000")),
    "two common tags without a common image": ImageFilter(tags=("day", "night")),
    "two ranges of images without a common image": ImageFilter(tags=("2016", "2023")),
    "one of three tags": ImageFilter(tags=("day", "tag 001", "tag 002"), logic="or"),
    "a common tag excluded": ImageFilter(exclude=("day",)),
}


async def milliseconds(query: Callable[[], Awaitable[Any]]) -> float:
    """Duration of one call, in ms."""
    start = time.perf_counter()
    await query()
    return (time.perf_counter() - start) * 1000


async def examined(
    client: AsyncMongoClient[dict[str, Any]], query: Callable[[], Awaitable[Any]]
) -> tuple[int, int]:
    """The index keys and documents that the server examines, counted by its profiler."""
    database = client.get_database(DATABASE)
    await database.command("profile", 0)
    await database.drop_collection("system.profile")
    await database.command("profile", 2)
    await query()
    await database.command("profile", 0)
    costs = await database["system.profile"].find({"ns": f"{DATABASE}.images"}).to_list()
    keys, docs = (sum(cost[name] for cost in costs) for name in ("keysExamined", "docsExamined"))
    return keys, docs


def plain_query(images: ImageFilter) -> dict[str, Any]:
    """The filter as a naive query."""
    tags = {"$all" if images.logic == "and" else "$in": list(images.tags)} if images.tags else {}
    return {"state": "ready", "tags": tags | ({"$nin": list(images.exclude)} if images.exclude else {})}


async def compare(catalog: Catalog, client: AsyncMongoClient[dict[str, Any]], results: Results) -> None:
    """Measure both sides of each filter, for its first page and for one in the middle."""
    images = client.get_database(DATABASE).images
    for name, image_filter in FILTERS.items():
        for where, position in {"first page": None, "page in the middle": MIDDLE}.items():
            query = plain_query(image_filter) | ({"_id": {"$lt": ObjectId(position.id)}} if position else {})
            page = functools.partial(catalog.listing.page, image_filter, limit=PAGE, after=position)
            ours, plain = [], []
            for _ in range(ROUNDS):
                ours.append(await milliseconds(page))
                plain.append(await milliseconds(images.find(query).sort("_id", -1).limit(PAGE).to_list))
            tagify_ms, plain_ms = statistics.median(ours), statistics.median(plain)
            keys, docs = await examined(client, page)
            first = await page()
            is_short = first.next is not None and len(first.tiles) < PAGE
            short = f" (a short page of {len(first.tiles)})" if is_short else ""
            print(
                f"{name}, {where}: {tagify_ms:.1f} ms{short}, {keys} keys and {docs} images examined; "
                f"plain query {plain_ms:.1f} ms"
            )
            group = f"{name}, {where}"
            results.figures(group, tagify_ms=tagify_ms, plain_ms=plain_ms, keys=keys, images=docs)
            results.ratios(group, plain_to_tagify=plain_ms / tagify_ms)


async def main(folder: Path, images: int) -> None:
    async with mongod(folder, images) as (uri, _), open_catalog(uri) as catalog:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
        with recorded("api_filters") as results:
            await compare(catalog, client, results)
        await client.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the database here")
    parser.add_argument("--images", type=int, default=1_000_000)
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(parsed.folder or Path(temporary), parsed.images))
