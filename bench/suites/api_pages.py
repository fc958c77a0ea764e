"""Lists at a million images, beside the same lists as people first write them.

`python -m bench.suites.api_pages`.

Both sides run as processes of their own on the one mongod, and take turns within each round. With
`--folder` the million images are kept for the next time (making them takes some minutes). Needs wrk.
"""

import argparse
import asyncio
import functools
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from api.cursor import CursorCodec
from bench.lib.load import cpu_s, memory_mb
from bench.lib.request_rate import Borne, alone, full, steady
from bench.lib.servers import mongod, opened, served
from tagify.catalog import ImageFilter, KeysetPosition, Sort
from tagify.servers.process import Process

ROUNDS = 3
PAGE = 60
DIFFERENT = 64
"""Pages that clients ask for in turns, twice as many as there are clients: no two share an answer."""

STEADY_RATE = 250
STEADY_S = 20
Measure = Callable[[], Awaitable[float]]
Bear = Callable[[Sequence[str]], Awaitable[Borne]]


@dataclass(frozen=True, slots=True)
class Sides:
    """The processes of both sides, and the mongod that answers both."""

    ours: Process
    baseline: Process
    mongod: Process

    async def load(self, server: Process, paths: Sequence[str], costs: list[float], bear: Bear) -> float:
        """Answers a second; notes what CPU one costs, in ms."""
        before = cpu_s(server.pid) + cpu_s(self.mongod.pid)
        borne = await bear([server.program.name + path for path in paths])
        costs.append((cpu_s(server.pid) + cpu_s(self.mongod.pid) - before) / borne.answers * 1000)
        return borne.rate


async def cursor_at(uri: str, offset: int, which: ImageFilter | None = None) -> str:
    """The cursor of the page that begins behind so many images, found once, before anything is measured."""
    which = which or ImageFilter()
    async with opened(uri) as catalog:
        images = await catalog.listing.newest(which, limit=1, offset=offset - 1)
    return CursorCodec(which, Sort.NEWEST).encode(KeysetPosition(None, images[0].id))


async def in_turns(measures: dict[str, Measure]) -> dict[str, float]:
    """The median of each, after so many rounds in which all took their turns."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, measure in measures.items():
            found[name].append(await measure())
    return {name: statistics.median(values) for name, values in found.items()}


async def throughput(sides: Sides, uri: str, offset: int) -> None:
    """Answers a second at full load, on page 1 and deep down, and of the list of tags."""
    deep = await cursor_at(uri, offset)
    ours, baseline = sides.ours, sides.baseline
    many = [(await cursor_at(uri, number * PAGE), number * PAGE) for number in range(1, DIFFERENT + 1)]
    pages: dict[str, tuple[list[str], list[str], Bear]] = {
        "page 1": ([f"/api/images?limit={PAGE}"], [f"/images?limit={PAGE}"], full),
        f"pages 2 to {DIFFERENT + 1} in turns": (
            [f"/api/images?limit={PAGE}&after={cursor}" for cursor, _ in many],
            [f"/images?limit={PAGE}&skip={skip}" for _, skip in many],
            full,
        ),
        f"offset {offset:,}": (
            [f"/api/images?limit={PAGE}&after={deep}"],
            [f"/images?limit={PAGE}&skip={offset}"],
            alone,
        ),
        "tags": (["/api/tags?limit=500"], ["/tags"], alone),
    }
    for what, (paths, theirs, bear) in pages.items():
        costs: defaultdict[str, list[float]] = defaultdict(list)
        found = await in_turns(
            {
                "ours": functools.partial(sides.load, ours, paths, costs["ours"], full),
                "baseline": functools.partial(sides.load, baseline, theirs, costs["baseline"], bear),
            }
        )
        cpu = {name: statistics.median(values) for name, values in costs.items()}
        print(
            f"{what}: ours {found['ours']:.0f}/s, baseline {found['baseline']:.2f}/s, "
            f"ratio {found['ours'] / found['baseline']:.1f}; CPU an answer, mongod's too: "
            f"ours {cpu['ours']:.2f} ms, baseline {cpu['baseline']:.2f} ms, "
            f"ratio {cpu['baseline'] / cpu['ours']:.1f}"
        )


async def depth(uri: str, ours: str, page: int) -> None:
    """One client alone: the first page beside a late one."""
    deep = await cursor_at(uri, (page - 1) * PAGE)
    found = await in_turns(
        {
            "first": lambda: rate(f"{ours}/api/images?limit={PAGE}", 1),
            "deep": lambda: rate(f"{ours}/api/images?limit={PAGE}&after={deep}", 1),
        }
    )
    print(
        f"one client: first page {1000 / found['first']:.2f} ms, {page:,}th {1000 / found['deep']:.2f} ms, "
        f"ratio {found['first'] / found['deep']:.2f}"
    )


async def rate(url: str, connections: int) -> float:
    """Answers a second."""
    return (await full([url], connections=connections)).rate


async def latency(uri: str, ours: str, images: int) -> None:
    """Times to answer at a steady rate of many different pages, while images are written."""
    rare = "tag 010"
    lists = {"": (), "tags=day&": ("day",), f"tags={quote(rare)}&": (rare,)}
    urls = [f"{ours}/api/images?limit={PAGE}"]
    for query, tags in lists.items():
        for number in range(1, 12):
            offset = number * images // (6000 if rare in tags else 50)
            cursor = await cursor_at(uri, offset, ImageFilter(tags=tags))
            urls.append(f"{ours}/api/images?{query}limit={PAGE}&after={cursor}")
    async with importing(uri):
        half, most = await steady(urls, STEADY_RATE, STEADY_S)
    print(f"{STEADY_RATE}/s with an import running: p50 {half:.2f} ms, p95 {most:.2f} ms")


async def scaling(sides: Sides, second: Process, uri: str, offset: int) -> None:
    """Answers a second of one process and of two, of pages that are not the same, and who takes the CPU."""
    deep = await cursor_at(uri, offset)
    pages = (f"/api/images?limit={PAGE}", f"/api/images?limit={PAGE}&after={deep}")
    shares: dict[str, list[str]] = {"one": [], "two": []}

    async def halves(name: str, other: Process) -> float:
        pids = [sides.ours.pid, second.pid, sides.mongod.pid]
        before, start = [cpu_s(pid) for pid in pids], time.perf_counter()
        loads = (rate(sides.ours.program.name + pages[0], 16), rate(other.program.name + pages[1], 16))
        answers = sum(await asyncio.gather(*loads))
        seconds = time.perf_counter() - start
        used = [(cpu_s(pid) - was) / seconds for pid, was in zip(pids, before, strict=True)]
        shares[name].append("ours {:.2f} and {:.2f}, mongod {:.2f}".format(*used))
        return answers

    found = await in_turns({"one": lambda: halves("one", sides.ours), "two": lambda: halves("two", second)})
    for name in found:
        print(f"{name} at work: {found[name]:.0f}/s, cores taken by {shares[name][-1]}")
    print(f"ratio {found['two'] / found['one']:.2f}")


@asynccontextmanager
async def importing(uri: str) -> AsyncIterator[None]:
    """While the block lasts, images are written."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.lib.import_load", uri)
    try:
        yield
        assert process.returncode is None, "the import ended early"
    finally:
        process.terminate()
        await process.wait()


async def main(folder: Path, images: int) -> None:
    async with mongod(folder, images) as (uri, server), served(folder, uri) as processes:
        ours, sides = processes["ours"].program.name, Sides(processes["ours"], processes["baseline"], server)
        await depth(uri, ours, images // 100)
        await latency(uri, ours, images)
        await throughput(sides, uri, images // 10)
        await scaling(sides, processes["second"], uri, images // 10)
        sizes = ", ".join(f"{memory_mb(processes[name].pid):.0f}" for name in ("ours", "second"))
        print(f"memory of our processes after it: {sizes} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="keep the database here")
    parser.add_argument("--images", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(given.folder or Path(temporary), given.images))
