"""A tag change of 10,000 images, in transactions of 500 and in one: `python -m bench.suites.tag_changes`.

Alone, and with 15 clients that continuously change the same tags of single images among them. Both ways
interleaved; medians in seconds.
"""

import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.lib.results import Results, recorded
from tagify.catalog import Catalog
from tagify.catalog.tags import repository
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import Unavailable
from tagify.model import ImageId
from tagify.settings import CommonSettings
from tests.support.catalog_fixtures import assert_counts_exact, insert_images
from tests.support.servers import Servers

IMAGES = 10_000
CLIENTS = 15
ROUNDS = 2
SIDES = {"transactions of 500": 500, "one transaction": IMAGES}


async def bulk(catalog: Catalog, ids: list[ImageId], chunk: int, number: int) -> float:
    """Duration of the change in seconds; the deadline if the change exceeded it."""
    repository.BATCH = chunk  # type: ignore[attr-defined]
    start = time.monotonic()
    try:
        await catalog.tags.change(ids, [f"bulk {number}"], ["sea", f"bulk {number - 1}"])
    except Unavailable:
        print("the change exceeded its deadline")
    return time.monotonic() - start


@asynccontextmanager
async def storm(catalog: Catalog, ids: list[ImageId]) -> AsyncIterator[list[int]]:
    """Clients that repeatedly change one image each; yields their number of changes, in a list."""
    changes = [0]

    async def client(number: int) -> None:
        dice = random.Random(number)
        while True:
            tags = dice.sample(["sea", "sun", "other"], 2)
            await catalog.tags.change([dice.choice(ids)], tags[:1], tags[1:])
            changes[0] += 1

    tasks = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
    yield changes
    await cancel_and_wait(*tasks)


def sides(number: int) -> list[tuple[str, int]]:
    """Both ways, in alternating order, so that each adds the tags and removes them."""
    return list(SIDES.items())[:: 1 if number % 2 else -1]


async def measure(catalog: Catalog, results: Results) -> None:
    library = await catalog.libraries.create("Bench", "/srv/bench")
    ids = await insert_images(catalog, library, IMAGES)
    numbers = itertools.count()
    for name in ("alone", f"with {CLIENTS} clients"):
        times: dict[str, list[float]] = {side: [] for side in SIDES}
        for number in range(ROUNDS * 2):
            for side, chunk in sides(number):
                if name == "alone":
                    times[side].append(await bulk(catalog, ids, chunk, next(numbers)))
                    continue
                async with storm(catalog, ids) as changes:
                    times[side].append(await bulk(catalog, ids, chunk, next(numbers)))
                    print(f"  {side}: {times[side][-1]:.2f} s, {changes[0]} changes by the clients")
        for side, values in times.items():
            median, slowest = statistics.median(values), max(values)
            results.figures(f"{name}, {side}", median_s=median, max_s=slowest)
            print(f"{name}, {side}: median {median:.2f} s, max {slowest:.2f} s")
        chunked, single = (statistics.median(times[side]) for side in SIDES)
        results.ratios(name, transactions_of_500_to_one=chunked / single)
    await assert_counts_exact(catalog)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(Path(folder))
        uri = await asyncio.to_thread(servers.mongo_uri)
        catalog = Catalog(CommonSettings(mongo_uri=uri, mongo_database="bench"))
        try:
            await catalog.ensure_indexes()
            with recorded("tag_changes") as results:
                await measure(catalog, results)
        finally:
            await catalog.close()
            await asyncio.to_thread(servers.close)


if __name__ == "__main__":
    asyncio.run(main())
