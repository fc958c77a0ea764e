"""Autocomplete at 50,000 tags, compared with a naive query: `python -m bench.suites.tag_prefix`.

The peer is an escaped regular expression on the key, sorted by count. Both interleaved, for prefixes of one
character and more; medians and maxima in milliseconds.
"""

import asyncio
import random
import re
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient

from bench.lib.results import Results, recorded
from tagify.catalog import Catalog
from tagify.catalog.autocomplete import prefixes
from tagify.settings import CommonSettings
from tests.support.servers import Servers

TAGS = 50_000
QUERIES = 300
LIMIT = 20
SYLLABLES = ("ba", "sea", "sun", "mo", "ri", "ta", "ko", "len", "ber", "an", "o", "ist", "er", "wald", "see")


def names() -> list[str]:
    """Tag names: half of them of syllables, half in one long series, like those of cameras and events."""
    dice = random.Random(1)
    syllabic: dict[str, None] = {}
    while len(syllabic) < TAGS // 2:
        syllabic["".join(dice.choices(SYLLABLES, k=dice.randint(2, 5)))] = None
    return [*syllabic, *(f"holiday 2019 {number:05}" for number in range(TAGS - len(syllabic)))]


async def measure(catalog: Catalog, client: AsyncMongoClient[dict[str, Any]], results: Results) -> None:
    tags = client["bench"].tags
    tag_names = names()
    docs = []
    for rank, name in enumerate(random.Random(2).sample(tag_names, len(tag_names)), 1):
        name_id = {"library_id": None, "key": name}
        docs.append({"_id": name_id, **name_id, "name": name, "count": TAGS // rank, "heads": prefixes(name)})
    await tags.insert_many(docs)
    await tags.create_index([("library_id", 1), ("key", 1)])

    async def peer(prefix: str) -> object:
        query = {"library_id": None, "key": {"$regex": f"^{re.escape(prefix)}"}}
        return await tags.find(query).sort([("count", -1), ("key", 1)]).limit(LIMIT).to_list()

    async def ours(prefix: str) -> object:
        return await catalog.tags.most_used(prefix=prefix, limit=LIMIT)

    dice = random.Random(3)
    for length in (1, 2, 3, 4, 6, 8, 14):
        times: dict[str, list[float]] = {"ours": [], "peer": []}
        for _ in range(QUERIES // 7):
            prefix = dice.choice(tag_names)[:length]
            for side, query in (("ours", ours), ("peer", peer)):
                times[side].append(await milliseconds(query, prefix))
        report(length, times, results)


def report(length: int, times: dict[str, list[float]], results: Results) -> None:
    """Print and record the times of one length of prefix."""
    medians = {side: statistics.median(values) for side, values in times.items()}
    maxima = {side: max(values) for side, values in times.items()}
    results.figures(
        f"{length} characters",
        **{f"{side}_median_ms": value for side, value in medians.items()},
        **{f"{side}_max_ms": value for side, value in maxima.items()},
    )
    results.ratios(f"{length} characters", peer_to_ours=medians["peer"] / medians["ours"])
    sides = [f"{side} {medians[side]:.2f} (max {maxima[side]:.1f})" for side in times]
    print(f"{length} characters: {', '.join(sides)} ms")


async def milliseconds(query: Callable[[str], Awaitable[object]], prefix: str) -> float:
    start = time.perf_counter()
    await query(prefix)
    return (time.perf_counter() - start) * 1000


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(Path(folder))
        uri = await asyncio.to_thread(servers.mongo_uri)
        catalog = Catalog(CommonSettings(mongo_uri=uri, mongo_database="bench"))
        try:
            await catalog.ensure_indexes()
            async with AsyncMongoClient[dict[str, Any]](uri) as client:
                with recorded("tag_prefix") as results:
                    await measure(catalog, client, results)
        finally:
            await catalog.close()
            await asyncio.to_thread(servers.close)


if __name__ == "__main__":
    asyncio.run(main())
