"""A change of 10,000 images, in transactions of 500 and in one: `python -m bench.suites.tag_changes`.

Alone, and beside 15 clients that change single images of the same ones by the same tags all the time.
Both sides in one run, interleaved; medians in seconds.
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
    """Seconds that it took; the deadline where it did not come through."""
    repository.BATCH = chunk  # type: ignore[attr-defined]
    start = time.monotonic()
    try:
        await catalog.tags.change(ids, [f"bulk {number}"], ["sea", f"bulk {number - 1}"])
    except Unavailable:
        print("not through within its deadline")
    return time.monotonic() - start


@asynccontextmanager
async def storm(catalog: Catalog, ids: list[ImageId]) -> AsyncIterator[list[int]]:
    """Clients that change one image each, again and again; yields how many changes they made."""
    made = [0]

    async def client(number: int) -> None:
        dice = random.Random(number)
        while True:
            tags = dice.sample(["sea", "sun", "other"], 2)
            await catalog.tags.change([dice.choice(ids)], tags[:1], tags[1:])
            made[0] += 1

    tasks = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
    yield made
    await cancel_and_wait(*tasks)


def sides(number: int) -> list[tuple[str, int]]:
    """Either comes first in turn, so that each puts the tags on and takes them off."""
    return list(SIDES.items())[:: 1 if number % 2 else -1]


async def measure(catalog: Catalog) -> None:
    library = await catalog.libraries.create("Bench", "/srv/bench")
    ids = await insert_images(catalog, library, IMAGES)
    turn = itertools.count()
    for name in ("alone", f"beside {CLIENTS} clients"):
        times: dict[str, list[float]] = {side: [] for side in SIDES}
        for number in range(ROUNDS * 2):
            for side, chunk in sides(number):
                if name == "alone":
                    times[side].append(await bulk(catalog, ids, chunk, next(turn)))
                    continue
                async with storm(catalog, ids) as made:
                    times[side].append(await bulk(catalog, ids, chunk, next(turn)))
                    print(f"  {side}: {times[side][-1]:.2f} s, {made[0]} changes beside it")
        for side, found in times.items():
            print(f"{name}, {side}: median {statistics.median(found):.2f} s, worst {max(found):.2f} s")
    await assert_counts_exact(catalog)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(Path(folder))
        uri = await asyncio.to_thread(servers.mongo_uri)
        catalog = Catalog(CommonSettings(mongo_uri=uri, mongo_database="bench"))
        try:
            await catalog.ensure_indexes()
            await measure(catalog)
        finally:
            await catalog.close()
            await asyncio.to_thread(servers.close)


if __name__ == "__main__":
    asyncio.run(main())
