"""Pictures of a hundred megapixels: they take neither all memory nor the small ones' turn."""

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
MOST_MB = 700
"""Of the daemon at its peak: the decoding of one such picture in full takes 400 of it."""


def peak_mb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) // 1024


# One store is enough: what is tested here comes before it.
@pytest.mark.slow
@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_forty_panoramas_neither_fill_memory_nor_stall_small_ones(
    harness: IngestHarness, tmp_path: Path
) -> None:
    plain = Image.new("RGB", SIDES, "navy")
    large = {"jpg": pictures.encoded(plain, "JPEG", progressive=True), "png": pictures.encoded(plain, "PNG")}
    # Named so that a walk comes to them first.
    for number in range(LARGE):
        ending = "png" if number % 8 == 0 else "jpg"
        (harness.root / f"a{number:02}.{ending}").write_bytes(large[ending] + number.to_bytes(2, "big"))
    for number in range(SMALL):
        (harness.root / f"b{number:03}.jpg").write_bytes(pictures.jpeg(64, 48, seed=number))
    settings = harness.settings.model_copy(update={"max_pixels": 250_000_000, "ingest_workers": 12})
    async with process(settings, tmp_path / "ingest.log") as daemon:

        async def small_are_in() -> bool:
            return sum(path.startswith("b") for path in await harness.images_by_path()) == SMALL

        await until(small_are_in, timeout_s=120)
        assert len(await harness.images_by_path()) < SMALL + LARGE / 2

        async def all_in() -> bool:
            return len(await harness.images_by_path()) == SMALL + LARGE

        await until(all_in, timeout_s=300, every_s=0.2)
        assert peak_mb(daemon.pid) < MOST_MB
