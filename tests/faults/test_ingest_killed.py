"""kill -9 during an import, repeatedly: no image is lost, no object is left without an image."""

import hashlib
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from tagify.gc import GarbageCollector
from tagify.model import Bucket, Content
from tagify.storage.store import ObjectStore
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.ingest_process import process
from tests.support.waiting import until

FILES = 2000
KILLS = 20


# With one store only: the daemon is killed, not the store, and the test takes minutes.
@pytest.mark.slow
@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_an_import_killed_twenty_times_ends_complete(
    harness: IngestHarness, blobs: ObjectStore, tmp_path: Path
) -> None:
    data = [pictures.with_keywords("all", f"k{seed % 7}", seed=seed) for seed in range(20)]
    for number in range(FILES):
        (harness.root / f"{number:04}.jpg").write_bytes(data[number % 20] + number.to_bytes(4, "big"))
    random, log = Random(7), tmp_path / "ingest.log"
    for kill in range(KILLS):
        goal = (kill + 1) * FILES * 0.9 / KILLS * random.uniform(0.5, 1.0)
        async with process(harness.settings, log) as daemon:
            await until(lambda: has(harness, goal), timeout_s=240, every_s=0.01)  # noqa: B023
            daemon.kill()
            await daemon.wait()
    async with process(harness.settings, log):
        await until(lambda: has(harness, FILES), timeout_s=240)
        await until(harness.is_scanned, timeout_s=240)
    expected = {hashlib.sha256(path.read_bytes()).hexdigest() for path in harness.root.glob("*.jpg")}
    assert await listed(harness) == expected
    await GarbageCollector(
        harness.catalog, blobs, missing_for=timedelta(days=1), orphan_age=timedelta(), mark_age_s=0
    ).run()
    for bucket in Bucket:
        assert await stored(blobs, bucket, harness.settings.s3_key_prefix) == expected


async def has(harness: IngestHarness, number: float) -> bool:
    return (await harness.load_library()).indexed_count >= number


async def listed(harness: IngestHarness) -> set[Content]:
    entries = await harness.catalog.images.list_below(harness.library.id, "", limit=2 * FILES)
    assert len(entries) == FILES
    assert (await harness.load_library()).indexed_count == FILES
    contents: set[Content] = set()
    recount: Counter[str] = Counter()
    for entry in entries:
        image = await harness.catalog.images.get(entry.id)
        assert image is not None and image.content is not None
        contents.add(image.content)
        recount.update(image.tags)
    assert recount["all"] == FILES
    for scope in (None, harness.library.id):
        counts = await harness.catalog.tags.most_used(scope, limit=100)
        assert {tag.name: tag.count for tag in counts} == recount
    return contents


async def stored(blobs: ObjectStore, bucket: Bucket, prefix: str) -> set[Content]:
    contents: set[Content] = set()
    after = ""
    while listing := await blobs.list_objects(bucket, after, 1000):
        contents |= {item.content for item in listing if item.content}
        after = listing[-1].key
    return contents
