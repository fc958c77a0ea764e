"""Ways to read 30 kB from the disk cache, and what writing and evicting cost.

`python -m bench.suites.edge_cache`.

One process, 500 values, random keys, all in the kernel's memory; medians of 5 rounds, in turns.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

import diskcache

from edge.cache import CacheEntry, DiskCache
from edge.cache.files import CacheFiles
from edge.cache.index import CacheIndex
from tagify.metrics import Metrics

VALUES = 500
GETS = 2000
PUTS = 300
ROUNDS = 5
BODY = random.Random(1).randbytes(30_000)


def key(number: int) -> str:
    return f"v2-t1-{number:064x}-512-webp"


async def reading(folder: Path) -> dict[str, Callable[[str], Awaitable[object]]]:
    """The ways, each over a folder of its own with the same values."""
    stored = diskcache.Cache(str(folder / "lrs"), eviction_policy="least-recently-stored")
    used = diskcache.Cache(str(folder / "lru"), eviction_policy="least-recently-used")
    ours, files = DiskCache(folder / "ours", 10**9, Metrics()), CacheFiles(folder / "ours")
    await ours.open()
    for number in range(VALUES):
        stored.set(key(number), BODY)
        used.set(key(number), BODY)
        await ours.store(key(number), CacheEntry("image/webp", BODY))

    async def inline(name: str) -> object:
        return stored.get(name)

    async def least_recently_used(name: str) -> object:
        return used.get(name)

    async def waited_for(name: str) -> object:
        return files.read(name, wait=True)

    return {
        "diskcache, inline, least recently stored": inline,
        "diskcache, inline, least recently used": least_recently_used,
        "diskcache, in a thread": lambda name: asyncio.to_thread(stored.get, name),
        "by name, in a thread": lambda name: asyncio.to_thread(files.read, name, wait=True),
        "by name, inline, may wait": waited_for,
        "by name, at once or in a thread": ours.get,
    }


async def read_rates(folder: Path) -> None:
    ways, rates = await reading(folder), defaultdict(list)
    names = [key(random.randrange(VALUES)) for _ in range(GETS)]
    for _ in range(ROUNDS):
        for way, get in ways.items():
            start = time.perf_counter()
            for name in names:
                assert await get(name) is not None
            rates[way].append(GETS / (time.perf_counter() - start))
    for way, found in rates.items():
        print(f"  {way:42} {statistics.median(found):9,.0f} gets/s")


def write_costs(folder: Path) -> None:
    entry = CacheEntry("image/webp", BODY)
    roomy, full = CacheIndex(folder / "roomy", 10**9), CacheIndex(folder / "full", 5_000_000)
    for number in range(200):
        full.add(key(number), entry)
        full.evict()
    for name, ledger in (("room for all", roomy), ("full, evicting", full)):
        took, evicting, evicted = [], [], 0
        for number in range(1000, 1000 + PUTS):
            start = time.perf_counter()
            ledger.add(key(number), entry)
            entered = time.perf_counter()
            gone = ledger.evict()
            took.append(entered - start)
            if gone:
                evicting.append((time.perf_counter() - entered) / gone)
                evicted += gone
        text = f"  {name:42} put {statistics.median(took) * 1e6:6,.0f} us"
        if evicting:
            text += f", {evicted} evicted at {statistics.median(evicting) * 1e6:,.0f} us each"
        print(text)
        ledger.close()


async def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        print("reads, 30 kB:")
        await read_rates(Path(text))
        print("writes, 30 kB:")
        write_costs(Path(text))


if __name__ == "__main__":
    asyncio.run(main())
