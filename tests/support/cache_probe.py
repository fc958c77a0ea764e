"""`python -m tests.support.cache_probe DIRECTORY FIRST NUMBER`: uses a disk cache as an edge does.

Reads entries of 30 kB, stores the missing ones, and reads them again. Prints as JSON how many were cached
before and after; a wrong entry fails an assertion. Run by tests in processes and mount namespaces.
"""

import asyncio
import json
import random
import sys
from pathlib import Path

from edge.cache import CacheEntry, DiskCache
from tagify.metrics import Metrics

CAPACITY_BYTES = 100_000_000


def probe_entry(number: int) -> CacheEntry:
    """The entry of `probe_key(number)`."""
    return CacheEntry("image/webp", random.Random(number).randbytes(30_000))


def probe_key(number: int) -> str:
    """The cache key of a variant."""
    return f"v3-t1-{number:064x}-512-webp"


async def is_cached(cache: DiskCache, number: int) -> bool:
    """Whether the entry is cached; fails if it is wrong."""
    entry = await cache.get(probe_key(number))
    assert entry is None or entry == probe_entry(number)
    return entry is not None


async def main(folder: Path, first: int, number: int) -> None:
    metrics = Metrics()
    cache = DiskCache(folder, CAPACITY_BYTES, metrics)
    await cache.open()
    before = after = 0
    for index in range(first, first + number):
        if await is_cached(cache, index):
            before += 1
        else:
            await cache.store(probe_key(index), probe_entry(index))
        after += await is_cached(cache, index)
    await cache.close()
    counted = [
        line for line in metrics.exposition()[0].decode().splitlines() if line.startswith("edge_cache_")
    ]
    print(json.dumps({"before": before, "after": after, "metrics": counted}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
