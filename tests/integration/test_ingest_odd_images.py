"""A folder of unusual images through the real daemon: every one is imported."""

import asyncio
import sys
from pathlib import Path

from tests.support import odd_images as odd
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.ingest_process import environment

FILES = {
    "turned.tif": odd.tiff(
        (odd.tiff_tags([8, 8, 8], 2, odd.SIZE, orientation=6), [bytes((200, 60, 30)) * (64 * 48)])
    ),
    "float.tif": odd.plain_tiff("f", (0.5, 0.25, 0.1), 2, sample_format=3),
    "big-endian-bigtiff.tif": odd.plain_tiff("B", (200, 60, 30), 2, order=">", big=True),
    "broken-exif.png": odd.plain_png((1, 2, 3), odd.png_chunk(b"eXIf", b"no EXIF")),
    "half.jpg": pictures.jpeg(320, 240)[:3000],
    "stored-as-rgb.jpg": odd.jpeg_stored_as_rgb((200, 30, 60)),
    "masks.bmp": odd.masked_bmp(32, (0x3FF00000, 0xFFC00, 0x3FF), 801 << 20),
    "alpha-without-ispe.avif": odd.avif_alpha_without_ispe((200, 30, 60, 128)),
    "hdr.avif": odd.avif((148, 148, 148), 9, 16),
}


async def test_every_unusual_image_is_imported(harness: IngestHarness, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tagify.cli.main",
        "ingest",
        "--once",
        str(folder),
        env=environment(harness.settings),
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        _, output = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert f"{len(FILES)} images in odd" in output.decode()
