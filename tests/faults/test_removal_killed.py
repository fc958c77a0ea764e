"""kill -9 of ingest during the removal of a library, several times: the removal still completes."""

from pathlib import Path

import pytest

from tagify.catalog import Catalog
from tagify.model import Bucket
from tagify.storage.store import ObjectStore
from tests.support import pictures
from tests.support.catalog_fixtures import assert_counts_exact
from tests.support.ingest_harness import IngestHarness
from tests.support.ingest_process import process
from tests.support.waiting import until

FILES = 1500
KILLS = 3


@pytest.mark.slow
async def test_removal_completes_after_repeated_kills(
    harness: IngestHarness, catalog: Catalog, blobs: ObjectStore, tmp_path: Path
) -> None:
    data = [pictures.with_keywords("sea", seed=seed) for seed in range(20)]
    for number in range(FILES):
        (harness.root / f"{number:04}.jpg").write_bytes(data[number % 20] + number.to_bytes(4, "big"))
    log = tmp_path / "ingest.log"
    async with process(harness.settings, log):
        await until(lambda: has_indexed(harness, FILES), timeout_s=120)
    await catalog.libraries.begin_removal(harness.library.id)
    for kill in range(KILLS):
        async with process(harness.settings, log) as daemon:
            await until(lambda: has_removed(harness, 1 + 500 * kill), timeout_s=60, every_s=0.005)  # noqa: B023
            daemon.kill()
            await daemon.wait()
        await assert_counts_exact(catalog)
        assert (await harness.load_library()).removal is not None
    async with process(harness.settings, log):
        # Objects are deleted a minute after the last image, when no running batch can refer to them.
        await until(lambda: no_libraries(catalog), timeout_s=180)
    for bucket in Bucket:
        assert await blobs.list_objects(bucket, "", 10) == []
    await assert_counts_exact(catalog)


async def has_indexed(harness: IngestHarness, number: int) -> bool:
    return (await harness.load_library()).indexed_count >= number


async def has_removed(harness: IngestHarness, number: int) -> bool:
    removal = (await harness.load_library()).removal
    return removal is not None and removal.done >= number


async def no_libraries(catalog: Catalog) -> bool:
    return not await catalog.libraries.list_all()
