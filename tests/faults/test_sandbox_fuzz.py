"""Damaged images of every format through a real worker: a result or a reason, no hang, no growth."""

import asyncio
import io
import os
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from tagify.errors import Undecodable
from tagify.sandbox import DecodeJob, Sandbox, SharedBuffer
from tests.support import pictures

MUTANTS = 60
"""Number of damaged images of each format."""

GROWTH = 30 << 20
"""Maximum growth of a worker after MUTANTS images, in bytes."""

FORMATS = {
    "jpeg": pictures.jpeg(300, 200),
    "progressive": pictures.jpeg(300, 200, progressive=True),
    "png": pictures.png(alpha=True),
    "gif": pictures.animated("GIF"),
    "webp": pictures.encoded(pictures.gradient(200, 150), "WEBP"),
    "tiff": pictures.encoded(pictures.gradient(100, 80), "TIFF", compression="tiff_lzw"),
    "bmp": pictures.encoded(pictures.gradient(60, 40), "BMP"),
    "avif": pictures.encoded(pictures.gradient(100, 80), "AVIF"),
    "heif": pictures.encoded(pictures.gradient(100, 80), "HEIF"),
}


def mutant(data: bytes, random: Random) -> bytes:
    """The data with a few bytes changed, removed, doubled or set to extremes, most of them near the start."""
    mutated = bytearray(data)
    for _ in range(random.randint(1, 12)):
        position = int(len(mutated) * random.random() ** 3) if mutated else 0
        match random.randrange(5):
            case 0:
                mutated[position : position + 1] = random.randbytes(1)
            case 1:
                mutated[position : position + 4] = random.choice(
                    (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff")
                )
            case 2:
                del mutated[position : position + random.randint(1, 40)]
            case 3:
                mutated[position:position] = mutated[position : position + random.randint(1, 40)]
            case _:
                del mutated[random.randint(len(mutated) // 4, len(mutated)) :]
    return bytes(mutated)


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("kind", FORMATS)
async def test_damaged_images_are_decoded_or_refused(kind: str) -> None:
    random = Random(kind)
    sandbox = Sandbox(1, memory_bytes=1 << 30, deadline_s=20)
    fds = len(os.listdir("/proc/self/fd"))
    decoded = refused = 0
    try:
        await sandbox.open()
        start = resident(worker := sandbox.idle_pids[0])
        for _ in range(MUTANTS):
            job = DecodeJob(
                "variant", 20_000_000, width=160, mime=random.choice(("image/webp", "image/jpeg"))
            )
            with SharedBuffer() as source:
                source.append(mutant(FORMATS[kind], random))
                try:
                    async with asyncio.timeout(60):
                        result = await sandbox.run(job, source)
                except Undecodable as error:
                    assert str(error)
                    refused += 1
                else:
                    Image.open(io.BytesIO(result.data)).load()
                    decoded += 1
        if sandbox.killed == 0:
            assert sandbox.idle_pids == [worker]
            assert resident(worker) - start < GROWTH
    finally:
        await sandbox.close()
    assert refused > 0
    assert decoded + refused == MUTANTS
    assert len(os.listdir("/proc/self/fd")) <= fds
