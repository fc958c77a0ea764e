"""Completion of tags at 50,000 tags, as it is and as people first write it.

`python -m bench.suites.tag_prefix`.

The peer is an escaped regular expression on the key, sorted by count. Both sides in one run,
interleaved, for beginnings of one character and more; medians and worst times in milliseconds.
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

from tagify.catalog import Catalog
from tagify.catalog.autocomplete import prefixes
from tagify.settings import CommonSettings
from tests.support.servers import Servers

TAGS = 50_000
ASKED = 300
LIMIT = 20
SYLLABLES = ("ba", "sea", "sun", "mo", "ri", "ta", "ko", "len", "ber", "an", "o", "ist", "er", "wald", "see")


def names() -> list[str]:
    """Half of them of syllables, half in one long series, as cameras and events make them."""
    dice = random.Random(1)
    made: dict[str, None] = {}
    while len(made) < TAGS // 2:
        made["".join(dice.choices(SYLLABLES, k=dice.randint(2, 5)))] = None
    return [*made, *(f"holiday 2019 {number:05}" for number in range(TAGS - len(made)))]


async def measure(catalog: Catalog, client: AsyncMongoClient[dict[str, Any]]) -> None:
    tags = client["bench"].tags
    found = names()
    docs = []
    for rank, name in enumerate(random.Random(2).sample(found, len(found)), 1):
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
        for _ in range(ASKED // 7):
            prefix = dice.choice(found)[:length]
            for side, ask in (("ours", ours), ("peer", peer)):
                times[side].append(await timed(ask, prefix))
        told = [f"{side} {statistics.median(t):.2f} (worst {max(t):.1f})" for side, t in times.items()]
        print(f"{length} characters: {', '.join(told)} ms")


async def timed(ask: Callable[[str], Awaitable[object]], prefix: str) -> float:
    start = time.perf_counter()
    await ask(prefix)
    return (time.perf_counter() - start) * 1000


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(Path(folder))
        uri = await asyncio.to_thread(servers.mongo_uri)
        catalog = Catalog(CommonSettings(mongo_uri=uri, mongo_database="bench"))
        try:
            await catalog.ensure_indexes()
            async with AsyncMongoClient[dict[str, Any]](uri) as client:
                await measure(catalog, client)
        finally:
            await catalog.close()
            await asyncio.to_thread(servers.close)


if __name__ == "__main__":
    asyncio.run(main())
