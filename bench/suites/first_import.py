"""From a file to the page: `python -m bench.suites.first_import`.

Runs `tagify up` on a temporary folder. Measures the time from closing a file until it is listed (median and
maximum of 50), images per second of a first scan of 1,000 JPEGs of 2 MP, and the memory of each process
afterwards.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp

from bench.lib.results import recorded
from tests.support import pictures
from tests.support.up_process import UpProcess, run_up
from tests.support.waiting import until

LATENCIES = 50
SCAN = 1000
TWO_MP = (1632, 1224)


async def indexed_count(up: UpProcess) -> int:
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


async def first_scan(folder: Path) -> tuple[float, dict[str, int]]:
    library = folder / "scan"
    library.mkdir()
    data = [pictures.jpeg(*TWO_MP, seed=seed) for seed in range(25)]
    for number in range(SCAN):
        # A few bytes after the end of the image make each file a different content.
        (library / f"{number:04}.jpg").write_bytes(data[number % 25] + number.to_bytes(4, "big"))
    async with run_up(folder / "second", "--library", str(library)) as up:
        await until(lambda: printed(up, "Tagify is at"), timeout_s=60)
        start = time.monotonic()

        async def all_indexed() -> bool:
            return await indexed_count(up) >= SCAN

        await until(all_indexed, timeout_s=600, every_s=0.2)
        seconds = time.monotonic() - start
        await until(lambda: printed(up, "images are indexed"))
        return SCAN / seconds, memory(up)


async def printed(up: UpProcess, text: str) -> bool:
    return text in up.output_text()


def memory(up: UpProcess) -> dict[str, int]:
    """Proportional set size of each child process, in MB."""
    sizes = {}
    for name, pid in up.child_pids().items():
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        sizes[name] = int(rollup.split("Pss:")[1].split()[0]) // 1024
    return sizes


async def main() -> None:
    with tempfile.TemporaryDirectory() as text, recorded("first_import") as results:
        folder = Path(text)
        library = folder / "live"
        library.mkdir()
        async with run_up(folder / "first", "--library", str(library)) as up:
            await until(lambda: printed(up, "images are indexed"), timeout_s=60)
            times = [await latency(up, library, number) for number in range(LATENCIES)]
        median, slowest = statistics.median(times), max(times)
        results.figures("close to listed", median_s=median, max_s=slowest)
        print(f"close to listed: median {median:.2f} s, max {slowest:.2f} s")
        rate, sizes = await first_scan(folder)
        results.figures("first scan", images_per_s=rate)
        results.figures("memory afterwards", **{f"{name}_mb": size for name, size in sizes.items()})
        print(f"first scan, {SCAN} JPEGs of 2 MP: {rate:.0f} images/s")
        print("memory afterwards, MB: " + ", ".join(f"{name} {size}" for name, size in sorted(sizes.items())))


if __name__ == "__main__":
    asyncio.run(main())
