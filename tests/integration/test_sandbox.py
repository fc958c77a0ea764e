"""Decoding in processes of their own: what they make, and that nothing they do harms the parent."""

import asyncio
import io
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from tagify.errors import Undecodable
from tagify.sandbox import DecodeJob, Sandbox, SharedBuffer
from tests.support import pictures
from tests.support.up_process import alive
from tests.support.waiting import until

VARIANT = DecodeJob("variant", 250_000_000, width=320, mime="image/webp")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox(2, memory_bytes=512 << 20, deadline_s=20)
    yield made
    await made.close()


def sheet(data: bytes) -> SharedBuffer:
    made = SharedBuffer()
    made.append(data)
    return made


def descendants() -> set[int]:
    """Pids of all processes that come from this one."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(place.parent.name)] = int(place.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found: set[int] = set()
    while more := {pid for pid, parent in parents.items() if parent in found | {os.getpid()}} - found:
        found |= more
    return found


async def test_it_measures_and_makes_variants(sandbox: Sandbox) -> None:
    with sheet(pictures.jpeg(800, 600)) as source:
        narrow = DecodeJob("enlarge_never", 1_000_000, width=801, mime="image/webp")
        assert (await sandbox.run(narrow, source)).value == 800
        assert (await sandbox.run(DecodeJob("measure", 1_000_000), source)).value > 0
        made = await sandbox.run(VARIANT, source)
    assert Image.open(io.BytesIO(made.data)).size == (320, 240)
    assert made.seconds > 0


async def test_what_is_no_picture_is_told_in_words(sandbox: Sandbox) -> None:
    for data in (b"", b"nothing of the kind", pictures.jpeg()[:500]):
        with sheet(data) as source, pytest.raises(Undecodable):
            await sandbox.run(VARIANT, source)
    with (
        sheet(pictures.decompression_bomb(60_000)) as source,
        pytest.raises(Undecodable, match="more than the limit"),
    ):
        await sandbox.run(VARIANT, source)
    assert sandbox.killed == 0


async def test_a_picture_that_takes_too_much_memory_is_refused_and_its_worker_lives() -> None:
    sandbox = Sandbox(1, memory_bytes=64 << 20, deadline_s=20)
    try:
        with sheet(pictures.decompression_bomb(15_000)) as source, pytest.raises(Undecodable):
            await sandbox.run(VARIANT, source)
        with sheet(pictures.jpeg()) as source:
            assert (await sandbox.run(VARIANT, source)).data
    finally:
        await sandbox.close()


async def test_a_picture_that_takes_too_long_frees_its_worker() -> None:
    sandbox = Sandbox(1, memory_bytes=4 << 30, deadline_s=1)
    try:
        await sandbox.open()
        with sheet(pictures.many_scans_jpeg()) as source:
            start = time.monotonic()
            with pytest.raises(Undecodable, match="more than 1 s"):
                await sandbox.run(VARIANT, source)
            assert time.monotonic() - start < 10
        assert sandbox.killed == 1
        with sheet(pictures.jpeg()) as source:
            assert (await sandbox.run(VARIANT, source)).data
    finally:
        await sandbox.close()


async def test_a_caller_that_leaves_takes_the_work_with_it(sandbox: Sandbox) -> None:
    await sandbox.open()
    with sheet(pictures.many_scans_jpeg()) as source:
        asked = asyncio.create_task(sandbox.run(VARIANT, source))
        await asyncio.sleep(0.1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    assert sandbox.killed == 1


async def test_workers_that_somebody_killed_are_replaced(sandbox: Sandbox) -> None:
    # The servers of the run are descendants too, and must live.
    before = descendants()
    with sheet(pictures.jpeg()) as source:
        await asyncio.gather(*(sandbox.run(VARIANT, source) for _ in range(4)))
        for pid in descendants() - before:
            os.kill(pid, signal.SIGKILL)
        made = await asyncio.gather(*(sandbox.run(VARIANT, source) for _ in range(4)))
    assert all(result.data for result in made)


async def test_nothing_is_left_behind() -> None:
    before, files = descendants(), len(os.listdir("/proc/self/fd"))
    sandbox = Sandbox(2, memory_bytes=512 << 20, deadline_s=20)
    with sheet(pictures.jpeg()) as source:
        await asyncio.gather(*(sandbox.run(VARIANT, source) for _ in range(4)))
        started = descendants() - before
        assert len(started) >= 2
        await sandbox.close()

    async def gone() -> bool:
        return not any(alive(pid) for pid in started)

    await until(gone)
    assert len(os.listdir("/proc/self/fd")) == files


async def test_a_worker_knows_no_credentials(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGIFY_S3_SECRET_KEY", "secret")
    before = descendants()
    await sandbox.open()
    for pid in descendants() - before:
        assert b"TAGIFY" not in Path(f"/proc/{pid}/environ").read_bytes()
