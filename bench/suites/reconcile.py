"""A comparison of a folder with a catalog that is equal to it: `python -m bench.suites.reconcile`.

Makes a library of empty-named files on disk and as many documents, straight in MongoDB, then lets
the daemon start on it: the time until it has compared all, its CPU, its peak memory, and how many
files it opened (none: what is unchanged is not read). Twice, at two sizes, for memory must not
depend on the number.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pymongo import MongoClient

from bench.suites.ingest import cpu_of, settings_of
from tagify.catalog import Catalog
from tagify.model import LibraryId
from tagify.settings import IngestSettings
from tests.support.ingest_process import process
from tests.support.servers import Servers
from tests.support.waiting import until

PER_FOLDER = 1000
BATCH = 10_000


def files(root: Path, number: int) -> Iterator[Path]:
    """So many files of one byte, some in each folder, made as they are asked for."""
    for name in range(number):
        folder = root / f"{name // PER_FOLDER:05}"
        if name % PER_FOLDER == 0:
            folder.mkdir(parents=True)
        place = folder / f"{name:08}.jpg"
        place.write_bytes(b"x")
        yield place


def document(place: Path, root: Path, library: object) -> dict[str, object]:
    status = place.stat()
    return {
        "library_id": library,
        "path": str(place.relative_to(root)),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "inode": status.st_ino,
        "content": f"{status.st_ino:064x}",
        "state": "ready",
        "tags": [],
    }


def fill(settings: IngestSettings, root: Path, number: int) -> None:
    """Files and the documents that are equal to them."""
    with MongoClient[dict[str, object]](settings.mongo_uri.get_secret_value()) as client:
        database = client[settings.mongo_database]
        name = next(iter(database.libraries.find({"path": str(root)})))["_id"]
        batch: list[dict[str, object]] = []
        for place in files(root, number):
            batch.append(document(place, root, name))
            if len(batch) == BATCH:
                database.images.insert_many(batch, ordered=False)
                batch = []
        if batch:
            database.images.insert_many(batch, ordered=False)
        database.libraries.update_one({"_id": name}, {"$set": {"indexed_count": number}})


async def compared(catalog: Catalog, settings: IngestSettings, library: LibraryId, log: Path) -> None:
    """One daemon's start on the library, measured."""
    async with process(settings, log) as daemon:

        async def scanning() -> bool:
            found = await catalog.libraries.get(library)
            return found is not None and found.scanning

        async def done() -> bool:
            return not await scanning()

        await until(scanning, timeout_s=60, every_s=0.01)
        wall, cpu, read = time.perf_counter(), cpu_of(daemon.pid), _bytes_read(daemon.pid)
        await until(done, timeout_s=900, every_s=0.02)
        print(
            f"  {time.perf_counter() - wall:.1f} s, {cpu_of(daemon.pid) - cpu:.1f} s of CPU, "
            f"peak of memory {_peak_mb(daemon.pid)} MB, {(_bytes_read(daemon.pid) - read) >> 20} MB read"
        )


def _peak_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def _bytes_read(pid: int) -> int:
    """Bytes that went through its reads, sockets included."""
    return int(Path(f"/proc/{pid}/io").read_text().split()[1])


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="*", default=[100_000, 1_000_000], help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="starts on each (%(default)s)")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tagify-bench-") as text:
        servers = Servers(Path(text) / "servers")
        settings = settings_of(servers, Path(text))
        catalog = Catalog(settings)
        await catalog.ensure_indexes()
        try:
            for number in parsed.files:
                await _measure(catalog, settings, Path(text), number, parsed.rounds)
        finally:
            await catalog.close()
            servers.close()


async def _measure(
    catalog: Catalog, settings: IngestSettings, folder: Path, number: int, rounds: int
) -> None:
    root = folder / f"library-{number}"
    root.mkdir()
    library = await catalog.libraries.create(root.name, str(root))
    await asyncio.to_thread(fill, settings, root, number)
    print(f"{number:,} unchanged files:")
    for _ in range(rounds):
        await compared(catalog, settings, library.id, folder / "ingest.log")
    os.sync()
    await catalog.libraries.begin_removal(library.id)


if __name__ == "__main__":
    asyncio.run(main())
