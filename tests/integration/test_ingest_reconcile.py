"""Comparisons: broken off they go on without doing again what is done, and they make way for what just happened."""

import os
import time
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.ingest_harness import House
from tests.support.ingest_process import process
from tests.support.ops_pages import Pages
from tests.support.ports import free_ports
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

FILES = 300


def fill(house: House) -> None:
    """A backlog of files that have been quiet for long."""
    then = time.time() - 3600
    for number in range(FILES):
        place = house.root / f"{number % 10}" / f"{number:03}.jpg"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(pictures.jpeg(400, 300, seed=number))
        os.utime(place, (then, then))


async def has(house: House, number: int) -> bool:
    return (await house.state()).indexed_count >= number


async def test_an_import_that_was_killed_reads_only_what_is_not_in(house: House, tmp_path: Path) -> None:
    fill(house)
    port = free_ports()
    settings = house.settings.model_copy(update={"ingest_port": port, "ingest_batch_size": 20})
    async with process(settings, tmp_path / "ingest.log") as first:
        await until(lambda: has(house, FILES // 2))
        first.kill()
        await first.wait()
    done = (await house.state()).indexed_count
    async with process(settings, tmp_path / "ingest.log"):
        await until(lambda: has(house, FILES))
        read = await Pages.at(port).metric('ingest_files_total{outcome="ready"}')
    assert done + read == FILES


async def test_nothing_that_is_unchanged_is_read_again(house: House) -> None:
    fill(house)
    async with house.daemon():
        await until(lambda: has(house, FILES))
    async with house.daemon() as running:
        before = (await house.state()).last_scanned
        await house.catalog.libraries.request_rescan(house.library.id)

        async def scanned_again() -> bool:
            return (await house.state()).last_scanned != before

        await until(scanned_again)
        for outcome in ("ready", "failed", "unsettled", "gone"):
            assert await Pages.of(running).metric(f'ingest_files_total{{outcome="{outcome}"}}') == 0


async def test_what_just_happened_goes_before_a_backlog(house: House) -> None:
    fill(house)
    async with house.daemon(scanned=False):
        await until(lambda: has(house, 1))
        (house.root / "live.jpg").write_bytes(pictures.jpeg(seed=FILES))

        async def listed() -> bool:
            return bool(await house.catalog.images.at(house.library.id, ["live.jpg"]))

        await until(listed)
        assert (await house.state()).indexed_count < FILES
        await until(lambda: has(house, FILES + 1))
