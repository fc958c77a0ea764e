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
    """Run garbage collection once and print its result; returns 0. Raises Unavailable, SettingsError."""
    load_profile(data_dir)
    print(f"collecting garbage; takes at least {MARK_AGE_S:g} s if there are objects to delete", flush=True)
    result = asyncio.run(_collect_garbage(load(IngestSettings)))
    print(f"{result.images_deleted} images and {result.objects_deleted} objects deleted")
    return 0


async def _collect_garbage(settings: IngestSettings) -> GcResult:
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
