"""The first path in figures: `make bench`, or `python -m bench.suites.first_import`.

Runs `tagify up` on a folder of its own and prints: time from a file's close to its being listed
(median and worst of 50), images a second for a first walk over 1,000 JPEGs of 2 MP, and the
memory of each process at rest.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp

from tests.support import pictures
from tests.support.up_process import UpProcess, run_up
from tests.support.waiting import until

LATENCIES = 50
WALK = 1000
TWO_MP = (1632, 1224)


async def count(up: UpProcess) -> int:
    libraries = await up.get_json("/api/libraries")
    return int(libraries[0]["indexed_count"]) if libraries else 0


async def latency(up: UpProcess, library: Path, number: int) -> float:
    (library / f"live-{number}.jpg").write_bytes(pictures.jpeg(*TWO_MP, seed=number))
    closed = time.monotonic()
    async with aiohttp.ClientSession(up.url) as session:
        while True:
            async with session.get("/api/images?limit=1") as response:
                items = (await response.json())["items"]
            if items and items[0]["path"] == f"live-{number}.jpg":
                return time.monotonic() - closed
            await asyncio.sleep(0.01)


async def first_walk(folder: Path) -> tuple[float, dict[str, int]]:
    library = folder / "walk"
    library.mkdir()
    data = [pictures.jpeg(*TWO_MP, seed=seed) for seed in range(25)]
    for number in range(WALK):
        # A few bytes behind the end of image make each file a content of its own.
        (library / f"{number:04}.jpg").write_bytes(data[number % 25] + number.to_bytes(4, "big"))
    async with run_up(folder / "second", "--library", str(library)) as up:
        await until(lambda: says(up, "Tagify is at"), timeout_s=60)
        start = time.monotonic()

        async def all_in() -> bool:
            return await count(up) >= WALK

        await until(all_in, timeout_s=600, every_s=0.2)
        seconds = time.monotonic() - start
        await until(lambda: says(up, "images are indexed"))
        return WALK / seconds, memory(up)


async def says(up: UpProcess, text: str) -> bool:
    return text in up.output_text()


def memory(up: UpProcess) -> dict[str, int]:
    """Proportional set size of each child, in MB."""
    found = {}
    for name, pid in up.child_pids().items():
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found[name] = int(rollup.split("Pss:")[1].split()[0]) // 1024
    return found


async def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        library = folder / "live"
        library.mkdir()
        async with run_up(folder / "first", "--library", str(library)) as up:
            await until(lambda: says(up, "images are indexed"), timeout_s=60)
            found = [await latency(up, library, number) for number in range(LATENCIES)]
        print(f"close to listed: median {statistics.median(found):.2f} s, worst {max(found):.2f} s")
        rate, sizes = await first_walk(folder)
        print(f"first walk, {WALK} JPEGs of 2 MP: {rate:.0f} images/s")
        print("memory after it, MB: " + ", ".join(f"{name} {size}" for name, size in sorted(sizes.items())))


if __name__ == "__main__":
    asyncio.run(main())
