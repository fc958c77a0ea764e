"""`tagify doctor`."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tagify.catalog import Catalog
from tagify.cli.arguments import add_data_dir
from tagify.deploy.install import paths
from tagify.doctor import host, servers
from tagify.doctor.finding import Finding, Level
from tagify.printable import printable
from tagify.servers.local_profile import load_profile
from tagify.settings import EdgeSettings, load
from tagify.storage.store import ObjectStore


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_data_dir(parser)
    parser.set_defaults(run=lambda parsed: doctor(parsed.data_dir))


def doctor(data_dir: Path) -> int:
    """Print a line per check; returns 1 if any is an error, else 0. Raises SettingsError."""
    load_profile(data_dir)
    return asyncio.run(_print_report(load(EdgeSettings), data_dir))


async def _print_report(settings: EdgeSettings, data_dir: Path) -> int:
    status = 0
    async for finding in _run_checks(settings, data_dir):
        print(printable(finding.line()))
        status |= finding.level is Level.ERROR
    return int(status)


async def _run_checks(settings: EdgeSettings, data_dir: Path) -> AsyncIterator[Finding]:
    catalog, blobs = Catalog(settings), ObjectStore(settings, threads=1)
    try:
        for finding in host.report_versions():
            yield finding
        async for finding in servers.check_mongodb(catalog):
            yield finding
        async for finding in servers.check_s3(blobs, settings.s3_region):
            yield finding
        for folder in (data_dir / "s3", paths.STATE / "s3"):
            async for finding in servers.check_seaweedfs(settings.s3_endpoint, folder):
                yield finding
        async for finding in servers.check_libraries(catalog):
            yield finding
        roots = [Path(library.path) for library in await servers.list_libraries(catalog)]
        folders, findings = await host.count_folders(roots)
        for finding in (*findings, *_host_checks(settings, data_dir, folders, len(roots))):
            yield finding
    finally:
        await blobs.close()
        await catalog.close()


def _host_checks(settings: EdgeSettings, data_dir: Path, folders: int, libraries: int) -> list[Finding]:
    return [
        *host.check_inotify(folders, libraries),
        *host.check_open_files(),
        *host.check_disk("data", data_dir),
        *host.check_disk("cache", settings.edge_cache_dir),
        *host.check_sandbox(),
        *host.check_nginx(),
    ]
