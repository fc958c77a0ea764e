"""Ingest beside the bare work and beside a scanner as people first build it: `python -m bench.suites.ingest`.

Three sides take the same JPEGs, in turns, in one run, with a mongod and a MinIO of the bench's own:

- bare: read, SHA-256, scaled decode, resize and encode, in one process with a thread for each core;
- ours: the daemon as it ships, storage included;
- first: what people first write: full decode, two threads for each core, `put_object` for each
  asset, `update_one` for each image.

Prints, for 12 MP and for 2 MP: images a second and CPU of the process for each image; medians.
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

from bench.lib.photos import photos
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


@dataclass(frozen=True, slots=True)
class Run:
    """What one side took for some images."""

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
    """Time and CPU since it was made: of a process, and of the servers."""

    def __init__(self, pid: int, servers: Servers) -> None:
        self._pid = pid
        self._servers = servers
        self._started = self._now()

    def run(self, images: int) -> Run:
        return Run(images, *(now - then for now, then in zip(self._now(), self._started, strict=True)))

    def _now(self) -> tuple[float, float, float]:
        return time.perf_counter(), cpu_of(self._pid), sum(map(cpu_of, self._servers.pids()))


def in_this_process(folder: Path, take: Callable[[Path], None], threads: int, servers: Servers) -> Run:
    """All files of the folder through `take`, in threads."""
    places = sorted(folder.glob("*.jpg"))
    clock = Clock(os.getpid(), servers)
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(take, places))
    return clock.run(len(places))


def bare(place: Path) -> None:
    data = place.read_bytes()
    hashlib.sha256(data).hexdigest()
    decode_original(data, max_pixels=MAX_PIXELS)


class First:
    """A scanner as people first build it."""

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

    def take(self, place: Path) -> None:
        data = place.read_bytes()
        content = hashlib.sha256(data).hexdigest()
        with Image.open(io.BytesIO(data)) as image:
            upright = ImageOps.exif_transpose(image)
            width, height = upright.size
            small = upright.convert("RGB").resize((512, 512 * height // width), Image.Resampling.LANCZOS)
        thumb = io.BytesIO()
        small.save(thumb, "JPEG", quality=82)
        self._store.put_object("first", f"originals/{content}", io.BytesIO(data), len(data))
        self._store.put_object("first", f"thumbs/{content}", io.BytesIO(thumb.getvalue()), thumb.tell())
        document = {"path": str(place), "content": content, "width": width, "height": height}
        self._images.update_one({"path": str(place)}, {"$set": document}, upsert=True)

    def close(self) -> None:
        self._client.close()


class Ours:
    """The daemon, as a process of its own."""

    def __init__(self, catalog: Catalog, settings: IngestSettings, log: Path, servers: Servers) -> None:
        self._servers = servers
        self._catalog = catalog
        self._settings = settings
        self._log = log

    async def take(self, folder: Path) -> Run:
        """From the moment the daemon begins to compare the folder until all is in."""
        number = len(list(folder.glob("*.jpg")))
        async with process(self._settings, self._log) as daemon:
            library = await self._catalog.libraries.create(folder.name, str(folder))

            async def seen() -> tuple[bool, int]:
                found = await self._catalog.libraries.get(library.id)
                assert found is not None
                return found.scanning, found.indexed_count

            await until(lambda: _is((seen, lambda scanning, _: scanning)), every_s=0.005)
            clock = Clock(daemon.pid, self._servers)
            await until(lambda: _is((seen, lambda _, count: count >= number)), timeout_s=600, every_s=0.1)
            return clock.run(number)


async def _is(probe: tuple[Callable[[], object], Callable[..., bool]]) -> bool:
    seen, condition = probe
    return condition(*await seen())  # type: ignore[misc]


def cpu_of(pid: int) -> float:
    """User and system time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(
    size: str, images: int, rounds: int, servers: Servers, folder: Path
) -> dict[str, list[Run]]:
    """The runs of each side over copies of the same images, each round with contents of its own."""
    settings = settings_of(servers, folder)
    catalog, blobs = Catalog(settings), ObjectStore(settings)
    await blobs.ensure_buckets()
    await catalog.ensure_indexes()
    first = First(settings)
    ours = Ours(catalog, settings, folder / "ingest.log", servers)
    runs: dict[str, list[Run]] = {"bare": [], "ours": [], "first": []}
    for number in range(rounds):
        library = folder / f"{size}-{number}".replace(" ", "")
        photos(library, SIZES[size], images, seed=number)
        runs["bare"].append(await asyncio.to_thread(in_this_process, library, bare, CORES, servers))
        runs["ours"].append(await ours.take(library))
        runs["first"].append(
            await asyncio.to_thread(in_this_process, library, first.take, CORES * 2, servers)
        )
        shutil.rmtree(library)
    first.close()
    await blobs.close()
    await catalog.close()
    return runs


def settings_of(servers: Servers, folder: Path) -> IngestSettings:
    values: dict[str, Any] = {"mongo_uri": servers.mongo_uri(), **servers.s3("minio").settings}
    return IngestSettings(**values, mongo_database=f"bench-{folder.name[-8:]}")


def report(size: str, runs: dict[str, list[Run]]) -> None:
    rates = {side: statistics.median(run.rate for run in found) for side, found in runs.items()}
    cpus = {side: statistics.median(run.cpu_ms for run in found) for side, found in runs.items()}
    for side, found in runs.items():
        theirs = statistics.median(run.servers_ms for run in found)
        print(
            f"{size} {side:6} {rates[side]:6.1f} images/s; for each {cpus[side]:6.1f} ms of CPU, "
            f"and {theirs:5.1f} ms of the servers'"
        )
    print(
        f"{size} ours: {cpus['ours'] / cpus['bare']:.2f} of the bare work's CPU, "
        f"{rates['ours'] / rates['bare']:.2f} of its rate, "
        f"{rates['ours'] / rates['first']:.1f} times the first's"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--images",
        type=int,
        default=240,
        help="12 MP images of a round; three times as many of 2 MP (%(default)s)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds (%(default)s)")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tagify-bench-") as text:
        servers = Servers(Path(text) / "servers")
        try:
            for size, times in (("12 MP", 1), ("2 MP", 3)):
                report(size, await measure(size, parsed.images * times, parsed.rounds, servers, Path(text)))
        finally:
            servers.close()


if __name__ == "__main__":
    asyncio.run(main())
