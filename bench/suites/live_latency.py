"""How soon a file is listed while an import is under way: `python -m bench.suites.live_latency`.

The daemon and the API run over a mongod and a MinIO of the bench's own. While a library of many
2 MP JPEGs is being taken in, single files are closed in another folder of it; printed is the time
from each one's close until the API lists it, the settle time taken off: median and 95th percentile.
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
from bench.lib.photos import photo, photos
from bench.suites.ingest import SIZES, settings_of
from ingest.watch.debounce import CLOSED_S
from tagify.catalog import Catalog
from tagify.settings import ApiSettings, IngestSettings
from tests.support.ingest_process import process
from tests.support.servers import Servers
from tests.support.waiting import until

LOOK_S = 0.01


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000, help="of the import (%(default)s)")
    parser.add_argument("--files", type=int, default=40, help="that are timed (%(default)s)")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tagify-bench-") as text:
        servers = Servers(Path(text) / "servers")
        try:
            await _measure(servers, Path(text), parsed.images, parsed.files)
        finally:
            servers.close()


async def _measure(servers: Servers, folder: Path, images: int, files: int) -> None:
    settings = settings_of(servers, folder)
    library = folder / "library"
    photos(library / "import", SIZES["2 MP"], images)
    (library / "live").mkdir()
    catalog = Catalog(settings)
    await catalog.ensure_indexes()
    api = TestServer(build(_api(settings)))
    await api.start_server()
    try:
        async with process(settings, folder / "ingest.log"), aiohttp.ClientSession() as session:
            made = await catalog.libraries.create("live", str(library))

            async def under_way() -> bool:
                found = await catalog.libraries.get(made.id)
                return found is not None and found.indexed_count > 0

            await until(under_way, timeout_s=120)
            found = [
                await _listed(session, api, library / "live" / f"{name}.jpg", name) for name in range(files)
            ]
            now = await catalog.libraries.get(made.id)
    finally:
        await api.close()
        await catalog.close()
    assert now is not None
    found.sort()
    print(
        f"listed after close and settle time, {now.indexed_count:,} of {images:,} taken in meanwhile: "
        f"median {statistics.median(found) * 1000:.0f} ms, 95th {found[int(files * 0.95)] * 1000:.0f} ms"
    )


async def _listed(session: aiohttp.ClientSession, api: TestServer, place: Path, number: int) -> float:
    data = await asyncio.to_thread(photo, SIZES["2 MP"], 3)
    place.write_bytes(data + number.to_bytes(8, "big"))
    closed = time.perf_counter()
    name = f"live/{place.name}"
    while True:
        async with session.get(api.make_url("/api/images?limit=60")) as response:
            items = (await response.json())["items"]
        if any(item["path"] == name for item in items):
            return time.perf_counter() - closed - CLOSED_S
        await asyncio.sleep(LOOK_S)


def _api(settings: IngestSettings) -> ApiSettings:
    return ApiSettings(mongo_uri=settings.mongo_uri, mongo_database=settings.mongo_database)


if __name__ == "__main__":
    asyncio.run(main())
