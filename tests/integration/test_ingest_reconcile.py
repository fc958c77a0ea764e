"""Scans: an interrupted one does not repeat its work, and live events have priority over its backlog."""

import os
import time
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.ingest_process import process
from tests.support.ops_pages import OpsPages
from tests.support.ports import free_ports
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

FILES = 300


def fill(harness: IngestHarness) -> None:
    """A backlog of files that have not changed for an hour."""
    an_hour_ago = time.time() - 3600
    for number in range(FILES):
        file = harness.root / f"{number % 10}" / f"{number:03}.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(pictures.jpeg(400, 300, seed=number))
        os.utime(file, (an_hour_ago, an_hour_ago))


async def has(harness: IngestHarness, number: int) -> bool:
    return (await harness.load_library()).indexed_count >= number


async def test_an_import_after_a_kill_reads_only_files_without_an_image(
    harness: IngestHarness, tmp_path: Path
) -> None:
    fill(harness)
    port = free_ports()
    settings = harness.settings.model_copy(update={"ingest_port": port, "ingest_batch_size": 20})
    async with process(settings, tmp_path / "ingest.log") as first:
        await until(lambda: has(harness, FILES // 2))
        first.kill()
        await first.wait()
    done = (await harness.load_library()).indexed_count
    async with process(settings, tmp_path / "ingest.log"):
        await until(lambda: has(harness, FILES))
        read = await OpsPages.for_port(port).metric('ingest_files_total{outcome="ready"}')
    assert done + read == FILES


async def test_unchanged_files_are_not_read_again(harness: IngestHarness) -> None:
    fill(harness)
    async with harness.running_ingest():
        await until(lambda: has(harness, FILES))
    async with harness.running_ingest() as running:
        before = (await harness.load_library()).last_scanned
        await harness.catalog.libraries.request_rescan(harness.library.id)

        async def scanned_again() -> bool:
            return (await harness.load_library()).last_scanned != before

        await until(scanned_again)
        for outcome in ("ready", "failed", "unsettled", "gone"):
            assert (
                await OpsPages.for_server(running).metric(f'ingest_files_total{{outcome="{outcome}"}}') == 0
            )


async def test_a_live_file_is_imported_before_the_backlog(harness: IngestHarness) -> None:
    fill(harness)
    async with harness.running_ingest(scanned=False):
        await until(lambda: has(harness, 1))
        (harness.root / "live.jpg").write_bytes(pictures.jpeg(seed=FILES))

        async def listed() -> bool:
            return bool(await harness.catalog.images.by_paths(harness.library.id, ["live.jpg"]))

        await until(listed)
        assert (await harness.load_library()).indexed_count < FILES
        await until(lambda: has(harness, FILES + 1))
