"""Memory of the daemon does not grow with the number of imported images, nor during an outage of the store."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.chaos_proxy import chaos_proxy
from tests.support.ingest_harness import IngestHarness
from tests.support.ingest_process import process
from tests.support.ops_pages import OpsPages
from tests.support.ports import free_ports
from tests.support.waiting import until

FIRST = 2000
FILES = 20_000
STEADY_GROWTH = 1.2
"""Bound of the later peak of resident memory, relative to the peak during the first 2,000 imports."""

GROWTH = 1.35
"""Bound of the peak while the paths of 18,000 files that were written at once are pending."""


def resident_kb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


def write(harness: IngestHarness, start: int, end: int) -> None:
    data = [pictures.jpeg(64, 48, seed=seed) for seed in range(20)]
    for number in range(start, end):
        file = harness.root / f"{number // 500:02}" / f"{number:05}.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data[number % 20] + number.to_bytes(4, "big"))


async def import_all(harness: IngestHarness, number: int, observe: Callable[[], None]) -> None:
    async def probe() -> bool:
        observe()
        return (await harness.load_library()).indexed_count >= number

    await until(probe, timeout_s=900, every_s=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_memory_stays_flat_over_an_import_of_twenty_thousand_images(
    harness: IngestHarness, tmp_path: Path
) -> None:
    write(harness, 0, FILES)
    async with process(harness.settings, tmp_path / "ingest.log") as daemon:
        peak_kb = 0

        def observe() -> None:
            nonlocal peak_kb
            peak_kb = max(peak_kb, resident_kb(daemon.pid))

        await import_all(harness, FIRST, observe)
        base_kb, peak_kb = peak_kb, 0
        await import_all(harness, FILES, observe)
    print(f"resident over {FIRST} images: {base_kb >> 10} MB, later peak: {peak_kb >> 10} MB")
    assert peak_kb <= base_kb * STEADY_GROWTH


@pytest.mark.slow
@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_memory_stays_bounded_during_an_outage_of_the_store(
    harness: IngestHarness, tmp_path: Path
) -> None:
    port = free_ports()
    async with chaos_proxy(harness.settings.s3_endpoint) as proxy:
        settings = harness.settings.model_copy(
            update={"ingest_port": port, "s3_endpoint": proxy.endpoint, "ingest_workers": 4}
        )
        async with process(settings, tmp_path / "ingest.log") as daemon:
            peak_kb = 0

            def observe() -> None:
                nonlocal peak_kb
                peak_kb = max(peak_kb, resident_kb(daemon.pid))

            write(harness, 0, FIRST)
            await import_all(harness, FIRST, observe)
            base_kb, peak_kb = peak_kb, 0
            proxy.refuse = True
            await proxy.drop_connections()
            write(harness, FIRST, FILES)

            async def is_waiting() -> bool:
                observe()
                return await OpsPages.for_port(port).metric('ingest_waiting{what="objects"}') >= 4

            await until(is_waiting, timeout_s=120)
            assert (
                await OpsPages.for_port(port).metric("ingest_queue_files") <= 2 * settings.ingest_queue_size
            )
            proxy.clear_faults()
            await import_all(harness, FILES, observe)
    print(f"resident after {FIRST} images: {base_kb >> 10} MB, later peak: {peak_kb >> 10} MB")
    assert peak_kb <= base_kb * GROWTH
