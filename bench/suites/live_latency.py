"""Time until a new file is listed during an import: `python -m bench.suites.live_latency`.

The daemon and the API run with a mongod and a MinIO of the benchmark. During the import of a library of many
2 MP JPEGs, single files are written into another folder of it. Measures the time from each one's close until
the API lists it, without the settle time: median and 95th percentile.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp
from aiohttp.test_utils import TestServer

from api.app import build
from bench.lib.photos import photo, write_photos
from bench.lib.results import Results, recorded
from bench.suites.ingest import SIZES, settings_of
from ingest.watch.debounce import CLOSED_S
from tagify.catalog import Catalog
from tagify.settings import ApiSettings, IngestSettings
from tests.support.ingest_process import process
from tests.support.servers import Servers
from tests.support.waiting import until

POLL_S = 0.01


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000, help="images of the import (%(default)s)")
    parser.add_argument("--files", type=int, default=40, help="files that are timed (%(default)s)")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tagify-bench-") as text:
        servers = Servers(Path(text) / "servers")
        try:
            with recorded("live_latency") as results:
                await _measure(servers, Path(text), parsed.images, parsed.files, results)
        finally:
            servers.close()


async def _measure(servers: Servers, folder: Path, images: int, files: int, results: Results) -> None:
    settings = settings_of(servers, folder)
    library = folder / "library"
    write_photos(library / "import", SIZES["2 MP"], images)
    (library / "live").mkdir()
    catalog = Catalog(settings)
    await catalog.ensure_indexes()
    api = TestServer(build(_api(settings)))
    await api.start_server()
    try:
        async with process(settings, folder / "ingest.log"), aiohttp.ClientSession() as session:
            created = await catalog.libraries.create("live", str(library))

            async def importing() -> bool:
                current = await catalog.libraries.get(created.id)
                return current is not None and current.indexed_count > 0

            await until(importing, timeout_s=120)
            times = [
                await _time_until_listed(session, api, library / "live" / f"{name}.jpg", name)
                for name in range(files)
            ]
            afterwards = await catalog.libraries.get(created.id)
    finally:
        await api.close()
        await catalog.close()
    assert afterwards is not None
    times.sort()
    median_ms, p95_ms = statistics.median(times) * 1000, times[int(files * 0.95)] * 1000
    results.figures("close to listed", median_ms=median_ms, p95_ms=p95_ms)
    print(
        f"from close until listed without settle time, {afterwards.indexed_count:,} of {images:,} images "
        f"imported meanwhile: median {median_ms:.0f} ms, p95 {p95_ms:.0f} ms"
    )


async def _time_until_listed(
    session: aiohttp.ClientSession, api: TestServer, path: Path, number: int
) -> float:
    data = await asyncio.to_thread(photo, SIZES["2 MP"], 3)
    path.write_bytes(data + number.to_bytes(8, "big"))
    closed = time.perf_counter()
    name = f"live/{path.name}"
    while True:
        async with session.get(api.make_url("/api/images?limit=60")) as response:
            items = (await response.json())["items"]
        if any(item["path"] == name for item in items):
            return time.perf_counter() - closed - CLOSED_S
        await asyncio.sleep(POLL_S)


def _api(settings: IngestSettings) -> ApiSettings:
    return ApiSettings(mongo_uri=settings.mongo_uri, mongo_database=settings.mongo_database)


if __name__ == "__main__":
    asyncio.run(main())
