"""`tagify doctor`."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tagify.catalog import Catalog
from tagify.cli.arguments import add_data_dir
from tagify.doctor import host, servers
from tagify.doctor.finding import Finding, Level
from tagify.servers.local_profile import load_profile
from tagify.settings import EdgeSettings, load
from tagify.storage.store import ObjectStore


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_data_dir(parser)
    parser.set_defaults(run=lambda parsed: doctor(parsed.data_dir))


def doctor(data_dir: Path) -> int:
    """Print a line for each look. 1 when any is an error, else 0. Raises SettingsError."""
    load_profile(data_dir)
    return asyncio.run(_report(load(EdgeSettings), data_dir))


async def _report(settings: EdgeSettings, data_dir: Path) -> int:
    worst = 0
    async for finding in _look(settings, data_dir):
        print(finding.line())
        worst |= finding.level is Level.ERROR
    return int(worst)


async def _look(settings: EdgeSettings, data_dir: Path) -> AsyncIterator[Finding]:
    catalog, blobs = Catalog(settings), ObjectStore(settings, threads=1)
    try:
        for finding in host.versions():
            yield finding
        async for finding in servers.mongodb(catalog):
            yield finding
        async for finding in servers.s3(blobs, settings.s3_region):
            yield finding
        async for finding in servers.libraries(catalog):
            yield finding
        roots = [Path(library.path) for library in await servers.known_libraries(catalog)]
        for finding in _host(settings, data_dir, await asyncio.to_thread(host.count_folders, roots)):
            yield finding
    finally:
        await blobs.close()
        await catalog.close()


def _host(settings: EdgeSettings, data_dir: Path, folders: int) -> list[Finding]:
    return [
        *host.inotify(folders),
        *host.open_files(),
        *host.disk("data", data_dir),
        *host.disk("cache", settings.edge_cache_dir),
        *host.front(),
    ]
