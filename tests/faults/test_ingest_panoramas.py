"""Images of a hundred megapixels neither exhaust memory nor delay small images."""

from pathlib import Path

import pytest
from PIL import Image

from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.ingest_process import process
from tests.support.waiting import until

SIDES = (16_000, 6_250)
LARGE = 40
SMALL = 100
MAX_PEAK_MB = 700
"""Bound of the daemon's peak; decoding one such image in full takes 400 MB."""


def peak_mb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) // 1024


# With one store only: this test does not depend on the store.
@pytest.mark.slow
@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_forty_panoramas_neither_exhaust_memory_nor_delay_small_images(
    harness: IngestHarness, tmp_path: Path
) -> None:
    plain = Image.new("RGB", SIDES, "navy")
    large = {"jpg": pictures.encoded(plain, "JPEG", progressive=True), "png": pictures.encoded(plain, "PNG")}
    # Their names sort first, so the walk returns them first.
    for number in range(LARGE):
        suffix = "png" if number % 8 == 0 else "jpg"
        (harness.root / f"a{number:02}.{suffix}").write_bytes(large[suffix] + number.to_bytes(2, "big"))
    for number in range(SMALL):
        (harness.root / f"b{number:03}.jpg").write_bytes(pictures.jpeg(64, 48, seed=number))
    settings = harness.settings.model_copy(update={"max_pixels": 250_000_000, "ingest_workers": 12})
    async with process(settings, tmp_path / "ingest.log") as daemon:

        async def small_are_imported() -> bool:
            return sum(path.startswith("b") for path in await harness.images_by_path()) == SMALL

        await until(small_are_imported, timeout_s=120)
        assert len(await harness.images_by_path()) < SMALL + LARGE / 2

        async def all_in() -> bool:
            return len(await harness.images_by_path()) == SMALL + LARGE

        await until(all_in, timeout_s=300, every_s=0.2)
        assert peak_mb(daemon.pid) < MAX_PEAK_MB
