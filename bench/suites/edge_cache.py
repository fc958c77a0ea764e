"""Ways to read 30 kB from the disk cache, and the cost of a write and of an eviction.

`python -m bench.suites.edge_cache [--rounds 5]`.

One process, 500 values, random keys, all in the page cache of the kernel; medians of 5 rounds, interleaved.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

import diskcache

from bench.lib.results import Results, recorded
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
    return f"v3-t1-{number:064x}-512-webp"


async def ways_to_read(folder: Path) -> dict[str, Callable[[str], Awaitable[object]]]:
    """The functions compared. Each reads a separate folder with the same values."""
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

    async def waiting(name: str) -> object:
        return files.read(name, wait=True)

    return {
        "diskcache, inline, least recently stored": inline,
        "diskcache, inline, least recently used": least_recently_used,
        "diskcache, in a thread": lambda name: asyncio.to_thread(stored.get, name),
        "by name, in a thread": lambda name: asyncio.to_thread(files.read, name, wait=True),
        "by name, inline, may wait": waiting,
        "by name, at once or in a thread": ours.get,
    }


async def read_rates(folder: Path, rounds: int, results: Results) -> None:
    ways, rates = await ways_to_read(folder), defaultdict(list)
    names = [key(random.randrange(VALUES)) for _ in range(GETS)]
    for _ in range(rounds):
        for way, get in ways.items():
            start = time.perf_counter()
            for name in names:
                assert await get(name) is not None
            rates[way].append(GETS / (time.perf_counter() - start))
    medians = {way: statistics.median(values) for way, values in rates.items()}
    for way, median in medians.items():
        results.figures(way, gets_per_s=median)
        results.ratios(way, to_diskcache_in_a_thread=median / medians["diskcache, in a thread"])
        print(f"  {way:42} {median:9,.0f} gets/s")


def write_costs(folder: Path, results: Results) -> None:
    entry = CacheEntry("image/webp", BODY)
    large, full = CacheIndex(folder / "large", 10**9), CacheIndex(folder / "full", 5_000_000)
    for number in range(200):
        full.add(key(number), entry)
        full.evict()
    for name, index in (("write, below the limit", large), ("write, at the limit, with eviction", full)):
        put_s, evict_s, evicted = [], [], 0
        for number in range(1000, 1000 + PUTS):
            start = time.perf_counter()
            index.add(key(number), entry)
            added = time.perf_counter()
            count = index.evict()
            put_s.append(added - start)
            if count:
                evict_s.append((time.perf_counter() - added) / count)
                evicted += count
        text = f"  {name:42} put {statistics.median(put_s) * 1e6:6,.0f} us"
        results.figures(name, put_us=statistics.median(put_s) * 1e6)
        if evict_s:
            results.figures(name, evict_us=statistics.median(evict_s) * 1e6)
            text += f", {evicted} evicted at {statistics.median(evict_s) * 1e6:,.0f} us each"
        print(text)
        index.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description="Reads, writes and evictions of the disk cache.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of reads (%(default)s)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as text, recorded("edge_cache") as results:
        print("reads, 30 kB:")
        await read_rates(Path(text), rounds, results)
        print("writes, 30 kB:")
        write_costs(Path(text), results)


if __name__ == "__main__":
    asyncio.run(main())
