"""Lists at a million images, compared with a naive implementation: `python -m bench.suites.api_pages`.

Both run as separate processes on the same mongod, interleaved within each round. With `--folder` the million
images are reused by the next run (inserting them takes some minutes). Needs wrk.
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
from bench.lib.request_rate import Throughput, constant_rate, full_load, single_client
from bench.lib.results import Results, recorded
from bench.lib.servers import api_processes, mongod, open_catalog
from tagify.catalog import ImageFilter, KeysetPosition, Sort
from tagify.servers.process import Process

ROUNDS = 3
PAGE = 60
DIFFERENT = 64
"""Pages that clients request round-robin, twice as many as clients, so that no two share a response."""

STEADY_RATE = 250
STEADY_S = 20
Measure = Callable[[], Awaitable[float]]
Load = Callable[[Sequence[str]], Awaitable[Throughput]]


@dataclass(frozen=True, slots=True)
class Sides:
    """The processes of both sides, and their common mongod."""

    ours: Process
    baseline: Process
    mongod: Process

    async def measure(self, server: Process, paths: Sequence[str], costs: list[float], load: Load) -> float:
        """Responses per second; appends the CPU per response, mongod's included, in ms."""
        before = cpu_s(server.pid) + cpu_s(self.mongod.pid)
        throughput = await load([server.program.name + path for path in paths])
        costs.append((cpu_s(server.pid) + cpu_s(self.mongod.pid) - before) / throughput.responses * 1000)
        return throughput.rate


async def cursor_at(uri: str, offset: int, image_filter: ImageFilter | None = None) -> str:
    """The cursor of the page that begins after `offset` images."""
    image_filter = image_filter or ImageFilter()
    async with open_catalog(uri) as catalog:
        images = await catalog.listing.newest(image_filter, limit=1, offset=offset - 1)
    return CursorCodec(image_filter, Sort.NEWEST).encode(KeysetPosition(None, images[0].id))


async def interleaved(measures: dict[str, Measure]) -> dict[str, float]:
    """The median of each over ROUNDS rounds; each round runs all of them."""
    values: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, measure in measures.items():
            values[name].append(await measure())
    return {name: statistics.median(side) for name, side in values.items()}


async def throughput(sides: Sides, uri: str, offset: int, results: Results) -> None:
    """Responses per second at full load, for page 1, for late pages, and for the list of tags."""
    late = await cursor_at(uri, offset)
    cursors = [(await cursor_at(uri, number * PAGE), number * PAGE) for number in range(1, DIFFERENT + 1)]
    pages: dict[str, tuple[list[str], list[str], Load]] = {
        "page 1": ([f"/api/images?limit={PAGE}"], [f"/images?limit={PAGE}"], full_load),
        f"pages 2 to {DIFFERENT + 1}, round-robin": (
            [f"/api/images?limit={PAGE}&after={cursor}" for cursor, _ in cursors],
            [f"/images?limit={PAGE}&skip={skip}" for _, skip in cursors],
            full_load,
        ),
        f"offset {offset:,}": (
            [f"/api/images?limit={PAGE}&after={late}"],
            [f"/images?limit={PAGE}&skip={offset}"],
            single_client,
        ),
        "tags": (["/api/tags?limit=500"], ["/tags"], single_client),
    }
    for name, (paths, baseline_paths, baseline_load) in pages.items():
        costs: defaultdict[str, list[float]] = defaultdict(list)
        rates = await interleaved(
            {
                "ours": functools.partial(sides.measure, sides.ours, paths, costs["ours"], full_load),
                "baseline": functools.partial(
                    sides.measure, sides.baseline, baseline_paths, costs["baseline"], baseline_load
                ),
            }
        )
        report(name, rates, {side: statistics.median(values) for side, values in costs.items()}, results)


def report(name: str, rates: dict[str, float], cpu: dict[str, float], results: Results) -> None:
    """Print and record one kind of page: responses per second and CPU per response, of both sides."""
    rate_ratio, cpu_ratio = rates["ours"] / rates["baseline"], cpu["baseline"] / cpu["ours"]
    results.figures(
        name,
        ours_per_s=rates["ours"],
        baseline_per_s=rates["baseline"],
        ours_cpu_ms=cpu["ours"],
        baseline_cpu_ms=cpu["baseline"],
    )
    results.ratios(name, ours_to_baseline_rate=rate_ratio, baseline_to_ours_cpu=cpu_ratio)
    print(
        f"{name}: ours {rates['ours']:.0f}/s, baseline {rates['baseline']:.2f}/s, ratio {rate_ratio:.1f}; "
        f"CPU per response including mongod: ours {cpu['ours']:.2f} ms, "
        f"baseline {cpu['baseline']:.2f} ms, ratio {cpu_ratio:.1f}"
    )


async def depth(uri: str, ours: str, page: int, results: Results) -> None:
    """One client: the first page compared with a late one."""
    late = await cursor_at(uri, (page - 1) * PAGE)
    rates = await interleaved(
        {
            "first": lambda: rate(f"{ours}/api/images?limit={PAGE}", 1),
            "late": lambda: rate(f"{ours}/api/images?limit={PAGE}&after={late}", 1),
        }
    )
    first_ms, late_ms, ratio = 1000 / rates["first"], 1000 / rates["late"], rates["first"] / rates["late"]
    results.figures("one client", first_page_ms=first_ms, late_page_ms=late_ms)
    results.ratios("one client", late_to_first_page=ratio)
    print(f"one client: first page {first_ms:.2f} ms, {page:,}th {late_ms:.2f} ms, ratio {ratio:.2f}")


async def rate(url: str, connections: int) -> float:
    """Responses per second."""
    return (await full_load([url], connections=connections)).rate


async def latency(uri: str, ours: str, images: int, results: Results) -> None:
    """Response times at a constant rate of many different pages, during an import."""
    rare = "tag 010"
    lists = {"": (), "tags=day&": ("day",), f"tags={quote(rare)}&": (rare,)}
    urls = [f"{ours}/api/images?limit={PAGE}"]
    for query, tags in lists.items():
        for number in range(1, 12):
            offset = number * images // (6000 if rare in tags else 50)
            cursor = await cursor_at(uri, offset, ImageFilter(tags=tags))
            urls.append(f"{ours}/api/images?{query}limit={PAGE}&after={cursor}")
    async with importing(uri):
        median_ms, p95_ms = await constant_rate(urls, STEADY_RATE, STEADY_S)
    results.figures("constant rate with an import", median_ms=median_ms, p95_ms=p95_ms)
    print(f"{STEADY_RATE}/s with an import running: median {median_ms:.2f} ms, p95 {p95_ms:.2f} ms")


async def scaling(sides: Sides, second: Process, uri: str, offset: int, results: Results) -> None:
    """Responses per second of one process and of two, for two different pages, and the cores they use."""
    late = await cursor_at(uri, offset)
    pages = (f"/api/images?limit={PAGE}", f"/api/images?limit={PAGE}&after={late}")
    cores: dict[str, str] = {}

    async def load_both_pages(name: str, other: Process) -> float:
        pids = [sides.ours.pid, second.pid, sides.mongod.pid]
        before, start = [cpu_s(pid) for pid in pids], time.perf_counter()
        loads = (rate(sides.ours.program.name + pages[0], 16), rate(other.program.name + pages[1], 16))
        responses_per_s = sum(await asyncio.gather(*loads))
        seconds = time.perf_counter() - start
        used = [(cpu_s(pid) - earlier) / seconds for pid, earlier in zip(pids, before, strict=True)]
        cores[name] = "ours {:.2f} and {:.2f}, mongod {:.2f}".format(*used)
        return responses_per_s

    rates = await interleaved(
        {
            "one process": lambda: load_both_pages("one process", sides.ours),
            "two processes": lambda: load_both_pages("two processes", second),
        }
    )
    for name, value in rates.items():
        results.figures("scaling", **{f"{name.replace(' ', '_')}_per_s": value})
        print(f"{name}: {value:.0f}/s, cores used: {cores[name]}")
    ratio = rates["two processes"] / rates["one process"]
    results.ratios("scaling", two_processes_to_one=ratio)
    print(f"ratio {ratio:.2f}")


@asynccontextmanager
async def importing(uri: str) -> AsyncIterator[None]:
    """Write images for as long as the block runs."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.lib.import_load", uri)
    try:
        yield
        assert process.returncode is None, "the import ended early"
    finally:
        process.terminate()
        await process.wait()


async def main(folder: Path, images: int) -> None:
    async with mongod(folder, images) as (uri, server), api_processes(folder, uri) as processes:
        ours, sides = processes["ours"].program.name, Sides(processes["ours"], processes["baseline"], server)
        with recorded("api_pages") as results:
            await depth(uri, ours, images // 100, results)
            await latency(uri, ours, images, results)
            await throughput(sides, uri, images // 10, results)
            await scaling(sides, processes["second"], uri, images // 10, results)
            sizes = {name: memory_mb(processes[name].pid) for name in ("ours", "second")}
            results.figures("memory afterwards", **{f"{name}_mb": size for name, size in sizes.items()})
            print(f"memory of the api processes afterwards: {sizes['ours']:.0f}, {sizes['second']:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="keep the database here")
    parser.add_argument("--images", type=int, default=1_000_000)
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(parsed.folder or Path(temporary), parsed.images))
