"""Import of JPEGs, compared with the bare work and with a naive scanner: `python -m bench.suites.ingest`.

Three programs import the same JPEGs, interleaved, with a mongod and a MinIO of the benchmark:

- bare work: read, SHA-256, scaled decode, resize and encode, in one process with one thread per core;
- daemon: `ingest` as it is, storage included;
- naive scanner: full decode, two threads per core, `put_object` for each asset, `update_one` for each image.

Measures, for 12 MP and for 2 MP: images per second and CPU of the process per image; medians.
"""

import argparse
import asyncio
import hashlib
import io
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import minio
import pymongo
from PIL import Image, ImageOps

from bench.lib.photos import write_photos
from bench.lib.results import Results, recorded
from tagify.catalog import Catalog
from tagify.imaging import decode_original
from tagify.settings import IngestSettings
from tagify.storage.store import ObjectStore
from tests.support.ingest_process import process
from tests.support.servers import Servers
from tests.support.waiting import until

SIZES = {"12 MP": (4000, 3000), "2 MP": (1632, 1224)}
CORES = os.cpu_count() or 1
MAX_PIXELS = 250_000_000
BARE, DAEMON, NAIVE = "bare work", "daemon", "naive scanner"


@dataclass(frozen=True, slots=True)
class Run:
    """Wall time and CPU that one program used for so many images."""

    images: int
    wall_s: float
    cpu_s: float
    servers_s: float

    @property
    def rate(self) -> float:
        return self.images / self.wall_s

    @property
    def cpu_ms(self) -> float:
        return self.cpu_s / self.images * 1000

    @property
    def servers_ms(self) -> float:
        return self.servers_s / self.images * 1000


class Clock:
    """Time since its creation, and CPU since then of a process and of the servers."""

    def __init__(self, pid: int, servers: Servers) -> None:
        self._pid = pid
        self._servers = servers
        self._started = self._now()

    def run(self, images: int) -> Run:
        return Run(images, *(now - start for now, start in zip(self._now(), self._started, strict=True)))

    def _now(self) -> tuple[float, float, float]:
        return time.perf_counter(), cpu_of(self._pid), sum(map(cpu_of, self._servers.pids()))


def run_in_threads(folder: Path, process: Callable[[Path], None], threads: int, servers: Servers) -> Run:
    """Call `process` for all files of the folder, in threads of this process."""
    paths = sorted(folder.glob("*.jpg"))
    clock = Clock(os.getpid(), servers)
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(process, paths))
    return clock.run(len(paths))


def do_bare_work(path: Path) -> None:
    data = path.read_bytes()
    hashlib.sha256(data).hexdigest()
    decode_original(data, max_pixels=MAX_PIXELS)


class NaiveScanner:
    """A scanner as a first version is usually written."""

    def __init__(self, settings: IngestSettings) -> None:
        parts = urlsplit(settings.s3_endpoint)
        self._store = minio.Minio(
            parts.netloc,
            settings.s3_access_key.get_secret_value(),
            settings.s3_secret_key.get_secret_value(),
            secure=False,
            region=settings.s3_region,
        )
        self._client = pymongo.MongoClient[dict[str, object]](settings.mongo_uri.get_secret_value())
        self._images = self._client.first.images
        if not self._store.bucket_exists("first"):
            self._store.make_bucket("first")

    def import_file(self, path: Path) -> None:
        data = path.read_bytes()
        content = hashlib.sha256(data).hexdigest()
        with Image.open(io.BytesIO(data)) as image:
            upright = ImageOps.exif_transpose(image)
            width, height = upright.size
            small = upright.convert("RGB").resize((512, 512 * height // width), Image.Resampling.LANCZOS)
        thumb = io.BytesIO()
        small.save(thumb, "JPEG", quality=82)
        self._store.put_object("first", f"originals/{content}", io.BytesIO(data), len(data))
        self._store.put_object("first", f"thumbs/{content}", io.BytesIO(thumb.getvalue()), thumb.tell())
        document = {"path": str(path), "content": content, "width": width, "height": height}
        self._images.update_one({"path": str(path)}, {"$set": document}, upsert=True)

    def close(self) -> None:
        self._client.close()


class Daemon:
    """The ingest daemon, as a separate process."""

    def __init__(self, catalog: Catalog, settings: IngestSettings, log: Path, servers: Servers) -> None:
        self._servers = servers
        self._catalog = catalog
        self._settings = settings
        self._log = log

    async def import_folder(self, folder: Path) -> Run:
        """Measure from the start of the scan until all images are indexed."""
        number = len(list(folder.glob("*.jpg")))
        async with process(self._settings, self._log) as daemon:
            library = await self._catalog.libraries.create(folder.name, str(folder))

            async def state() -> tuple[bool, int]:
                current = await self._catalog.libraries.get(library.id)
                assert current is not None
                return current.scanning, current.indexed_count

            await until(lambda: _is((state, lambda scanning, _: scanning)), every_s=0.005)
            clock = Clock(daemon.pid, self._servers)
            await until(lambda: _is((state, lambda _, count: count >= number)), timeout_s=600, every_s=0.1)
            return clock.run(number)


async def _is(probe: tuple[Callable[[], object], Callable[..., bool]]) -> bool:
    state, condition = probe
    return condition(*await state())  # type: ignore[misc]


def cpu_of(pid: int) -> float:
    """User and system time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(
    size: str, images: int, rounds: int, servers: Servers, folder: Path
) -> dict[str, list[Run]]:
    """Run each program on the same images; every round has different contents."""
    settings = settings_of(servers, folder)
    catalog, blobs = Catalog(settings), ObjectStore(settings)
    await blobs.ensure_buckets()
    await catalog.ensure_indexes()
    naive = NaiveScanner(settings)
    daemon = Daemon(catalog, settings, folder / "ingest.log", servers)
    runs: dict[str, list[Run]] = {BARE: [], DAEMON: [], NAIVE: []}
    for number in range(rounds):
        library = folder / f"{size}-{number}".replace(" ", "")
        write_photos(library, SIZES[size], images, seed=number)
        runs[BARE].append(await asyncio.to_thread(run_in_threads, library, do_bare_work, CORES, servers))
        runs[DAEMON].append(await daemon.import_folder(library))
        runs[NAIVE].append(
            await asyncio.to_thread(run_in_threads, library, naive.import_file, CORES * 2, servers)
        )
        shutil.rmtree(library)
    naive.close()
    await blobs.close()
    await catalog.close()
    return runs


def settings_of(servers: Servers, folder: Path) -> IngestSettings:
    values: dict[str, Any] = {"mongo_uri": servers.mongo_uri(), **servers.s3("minio").settings}
    return IngestSettings(**values, mongo_database=f"bench-{folder.name[-8:]}")


def report(size: str, runs: dict[str, list[Run]], results: Results) -> None:
    """Print and record the medians of all programs, and the ratios of the daemon to the others."""
    rates = {name: statistics.median(run.rate for run in side) for name, side in runs.items()}
    cpu_ms = {name: statistics.median(run.cpu_ms for run in side) for name, side in runs.items()}
    for name, side in runs.items():
        servers_ms = statistics.median(run.servers_ms for run in side)
        results.figures(
            f"{size}, {name}", images_per_s=rates[name], cpu_ms=cpu_ms[name], servers_cpu_ms=servers_ms
        )
        print(
            f"{size} {name:13} {rates[name]:6.1f} images/s; per image {cpu_ms[name]:6.1f} ms of CPU, "
            f"and {servers_ms:5.1f} ms of the servers"
        )
    ratios = {
        "cpu_of_bare_work": cpu_ms[DAEMON] / cpu_ms[BARE],
        "rate_of_bare_work": rates[DAEMON] / rates[BARE],
        "rate_of_naive_scanner": rates[DAEMON] / rates[NAIVE],
    }
    results.ratios(size, **ratios)
    print(
        f"{size} daemon: {ratios['cpu_of_bare_work']:.2f} of the bare work's CPU, "
        f"{ratios['rate_of_bare_work']:.2f} of its rate, "
        f"{ratios['rate_of_naive_scanner']:.1f} times the naive scanner's rate"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--images",
        type=int,
        default=240,
        help="12 MP images per round; three times as many of 2 MP (%(default)s)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds (%(default)s)")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tagify-bench-") as text, recorded("ingest") as results:
        folder, servers = Path(text), Servers(Path(text) / "servers")
        try:
            for size, factor in (("12 MP", 1), ("2 MP", 3)):
                runs = await measure(size, parsed.images * factor, parsed.rounds, servers, folder)
                report(size, runs, results)
        finally:
            servers.close()


if __name__ == "__main__":
    asyncio.run(main())
