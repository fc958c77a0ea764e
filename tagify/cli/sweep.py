"""`tagify sweep`."""

import argparse
import asyncio
from datetime import timedelta
from pathlib import Path

from tagify.catalog import Catalog
from tagify.cli.arguments import add_data_dir
from tagify.gc import MARK_AGE_S, GarbageCollector, GcResult
from tagify.servers.local_profile import load_profile
from tagify.settings import IngestSettings, load
from tagify.storage.store import ObjectStore


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_data_dir(parser)
    parser.set_defaults(run=lambda parsed: sweep(parsed.data_dir))


def sweep(data_dir: Path) -> int:
    """Run a pass and print what it did; 0. Raises Unavailable, SettingsError."""
    load_profile(data_dir)
    print(f"sweeping; where something is to be removed this takes {MARK_AGE_S:g} s and more", flush=True)
    swept = asyncio.run(_sweep(load(IngestSettings)))
    print(f"{swept.images_deleted} images forgotten, {swept.objects_deleted} objects removed")
    return 0


async def _sweep(settings: IngestSettings) -> GcResult:
    catalog, blobs = Catalog(settings), ObjectStore(settings, threads=1)
    try:
        return await GarbageCollector(
            catalog,
            blobs,
            missing_for=timedelta(days=settings.ingest_forget_days),
            orphan_age=timedelta(seconds=settings.ingest_sweep_grace_s),
        ).run()
    finally:
        await blobs.close()
        await catalog.close()
