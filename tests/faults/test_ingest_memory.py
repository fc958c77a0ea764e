"""The daemon does not grow: not with what it has taken in, and not with what waits while the store is away."""

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
"""What the most that is resident later may be of the most while the first 2,000 were taken in."""

GROWTH = 1.35
"""At the peak, when the paths of 18,000 files that were written at once are held besides."""


def resident_kb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


def write(harness: IngestHarness, start: int, end: int) -> None:
    data = [pictures.jpeg(64, 48, seed=seed) for seed in range(20)]
    for number in range(start, end):
        place = harness.root / f"{number // 500:02}" / f"{number:05}.jpg"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data[number % 20] + number.to_bytes(4, "big"))


async def import_all(harness: IngestHarness, number: int, look: Callable[[], None]) -> None:
    async def probe() -> bool:
        look()
        return (await harness.load_library()).indexed_count >= number

    await until(probe, timeout_s=900, every_s=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_memory_stays_flat_over_an_import_of_twenty_thousand_images(
    harness: IngestHarness, tmp_path: Path
) -> None:
    write(harness, 0, FILES)
    async with process(harness.settings, tmp_path / "ingest.log") as daemon:
        most = 0

        def look() -> None:
            nonlocal most
            most = max(most, resident_kb(daemon.pid))

        await import_all(harness, FIRST, look)
        base, most = most, 0
        await import_all(harness, FILES, look)
    print(f"resident over {FIRST} images: {base >> 10} MB, at most later: {most >> 10} MB")
    assert most <= base * STEADY_GROWTH


@pytest.mark.slow
@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_memory_stays_bounded_while_the_store_is_away(harness: IngestHarness, tmp_path: Path) -> None:
    port = free_ports()
    async with chaos_proxy(harness.settings.s3_endpoint) as proxy:
        settings = harness.settings.model_copy(
            update={"ingest_port": port, "s3_endpoint": proxy.endpoint, "ingest_workers": 4}
        )
        async with process(settings, tmp_path / "ingest.log") as daemon:
            most = 0

            def look() -> None:
                nonlocal most
                most = max(most, resident_kb(daemon.pid))

            write(harness, 0, FIRST)
            await import_all(harness, FIRST, look)
            base, most = most, 0
            proxy.refuse = True
            await proxy.drop_connections()
            write(harness, FIRST, FILES)

            async def waits() -> bool:
                look()
                return await OpsPages.for_port(port).metric('ingest_waiting{what="objects"}') >= 4

            await until(waits, timeout_s=120)
            assert (
                await OpsPages.for_port(port).metric("ingest_queue_files") <= 2 * settings.ingest_queue_size
            )
            proxy.clear_faults()
            await import_all(harness, FILES, look)
    print(f"resident after {FIRST} images: {base >> 10} MB, at most later: {most >> 10} MB")
    assert most <= base * GROWTH
