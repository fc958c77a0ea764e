"""Reconciliation of an unchanged library with the catalog: `python -m bench.suites.reconcile`.

Creates files of one byte and their documents directly in MongoDB, then starts the daemon. Measures the time
until the scan is complete, CPU, peak memory, and bytes read (unchanged files are not opened). At two sizes,
because memory must not depend on the number of files.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pymongo import MongoClient

from bench.lib.results import Results, recorded
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
    """Create so many files of one byte, PER_FOLDER in each folder; yields their paths."""
    for name in range(number):
        folder = root / f"{name // PER_FOLDER:05}"
        if name % PER_FOLDER == 0:
            folder.mkdir(parents=True)
        path = folder / f"{name:08}.jpg"
        path.write_bytes(b"x")
        yield path


def document(path: Path, root: Path, library: object) -> dict[str, object]:
    status = path.stat()
    return {
        "library_id": library,
        "path": str(path.relative_to(root)),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "inode": status.st_ino,
        "content": f"{status.st_ino:064x}",
        "state": "ready",
        "tags": [],
    }


def fill(settings: IngestSettings, root: Path, number: int) -> None:
    """Create files and their documents."""
    with MongoClient[dict[str, object]](settings.mongo_uri.get_secret_value()) as client:
        database = client[settings.mongo_database]
        library = next(iter(database.libraries.find({"path": str(root)})))["_id"]
        batch: list[dict[str, object]] = []
        for path in files(root, number):
            batch.append(document(path, root, library))
            if len(batch) == BATCH:
                database.images.insert_many(batch, ordered=False)
                batch = []
        if batch:
            database.images.insert_many(batch, ordered=False)
        database.libraries.update_one({"_id": library}, {"$set": {"indexed_count": number}})


async def measure_start(
    catalog: Catalog, settings: IngestSettings, library: LibraryId, log: Path
) -> dict[str, float]:
    """Start the daemon on the library and measure until its scan is complete."""
    async with process(settings, log) as daemon:

        async def scanning() -> bool:
            current = await catalog.libraries.get(library)
            return current is not None and current.scanning

        async def done() -> bool:
            return not await scanning()

        await until(scanning, timeout_s=60, every_s=0.01)
        wall, cpu, read = time.perf_counter(), cpu_of(daemon.pid), _bytes_read(daemon.pid)
        await until(done, timeout_s=900, every_s=0.02)
        return {
            "seconds": time.perf_counter() - wall,
            "cpu_s": cpu_of(daemon.pid) - cpu,
            "peak_mb": _peak_mb(daemon.pid),
            "read_mb": (_bytes_read(daemon.pid) - read) / 2**20,
        }


def _peak_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def _bytes_read(pid: int) -> int:
    """Bytes read by the process, sockets included."""
    return int(Path(f"/proc/{pid}/io").read_text().split()[1])


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--files", type=int, nargs="*", default=[100_000, 1_000_000], help="numbers of files (%(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="starts of the daemon for each size (%(default)s)"
    )
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tagify-bench-") as text:
        servers = Servers(Path(text) / "servers")
        settings = settings_of(servers, Path(text))
        catalog = Catalog(settings)
        await catalog.ensure_indexes()
        try:
            with recorded("reconcile") as results:
                for number in parsed.files:
                    await _measure(catalog, settings, Path(text), number, parsed.rounds, results)
        finally:
            await catalog.close()
            servers.close()


async def _measure(
    catalog: Catalog, settings: IngestSettings, folder: Path, number: int, rounds: int, results: Results
) -> None:
    root = folder / f"library-{number}"
    root.mkdir()
    library = await catalog.libraries.create(root.name, str(root))
    await asyncio.to_thread(fill, settings, root, number)
    print(f"{number:,} unchanged files:")
    starts = [
        await measure_start(catalog, settings, library.id, folder / "ingest.log") for _ in range(rounds)
    ]
    for start in starts:
        print(
            f"  {start['seconds']:.1f} s, {start['cpu_s']:.1f} s of CPU, "
            f"peak memory {start['peak_mb']:.0f} MB, {start['read_mb']:.0f} MB read"
        )
    medians = {name: statistics.median(start[name] for start in starts) for name in starts[0]}
    results.figures(f"{number:,} files", **medians)
    os.sync()
    await catalog.libraries.begin_removal(library.id)


if __name__ == "__main__":
    asyncio.run(main())
