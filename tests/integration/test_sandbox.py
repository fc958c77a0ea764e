"""The sandbox: its results, and that a worker that hangs, grows or crashes does not harm the parent."""

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
from tests.support.up_process import is_alive
from tests.support.waiting import until

VARIANT = DecodeJob("variant", 250_000_000, width=320, mime="image/webp")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(2, memory_bytes=512 << 20, deadline_s=20)
    yield sandbox
    await sandbox.close()


def buffer(data: bytes) -> SharedBuffer:
    shared = SharedBuffer()
    shared.append(data)
    return shared


def descendants() -> set[int]:
    """The pids of all descendants of this process."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    pids: set[int] = set()
    while children := {pid for pid, parent in parents.items() if parent in pids | {os.getpid()}} - pids:
        pids |= children
    return pids


async def test_it_estimates_memory_and_renders_variants(sandbox: Sandbox) -> None:
    with buffer(pictures.jpeg(800, 600)) as source:
        narrow = DecodeJob("variant_unless_narrower", 1_000_000, width=801, mime="image/webp")
        assert (await sandbox.run(narrow, source)).value == 800
        assert (await sandbox.run(DecodeJob("measure", 1_000_000), source)).value > 0
        variant = await sandbox.run(VARIANT, source)
    assert Image.open(io.BytesIO(variant.data)).size == (320, 240)
    assert variant.seconds > 0


async def test_bytes_that_are_no_image_are_refused_with_a_reason(sandbox: Sandbox) -> None:
    for data in (b"", b"nothing of the kind", pictures.jpeg()[:500]):
        with buffer(data) as source, pytest.raises(Undecodable):
            await sandbox.run(VARIANT, source)
    with (
        buffer(pictures.decompression_bomb(60_000)) as source,
        pytest.raises(Undecodable, match="exceed the limit"),
    ):
        await sandbox.run(VARIANT, source)
    assert sandbox.killed == 0


async def test_an_image_that_takes_too_much_memory_is_refused_and_its_worker_survives() -> None:
    sandbox = Sandbox(1, memory_bytes=64 << 20, deadline_s=20)
    try:
        # A progressive JPEG is held as a whole; a PNG would be decoded row by row.
        large = pictures.encoded(Image.new("RGB", (7000, 7000)), "JPEG", progressive=True)
        with buffer(large) as source, pytest.raises(Undecodable):
            await sandbox.run(VARIANT, source)
        with buffer(pictures.jpeg()) as source:
            assert (await sandbox.run(VARIANT, source)).data
    finally:
        await sandbox.close()


async def test_an_image_that_takes_too_long_is_refused_and_its_worker_replaced() -> None:
    sandbox = Sandbox(1, memory_bytes=4 << 30, deadline_s=1)
    try:
        await sandbox.open()
        with buffer(pictures.many_scans_jpeg()) as source:
            start = time.monotonic()
            with pytest.raises(Undecodable, match="more than 1 s"):
                await sandbox.run(VARIANT, source)
            assert time.monotonic() - start < 10
        assert sandbox.killed == 1
        with buffer(pictures.jpeg()) as source:
            assert (await sandbox.run(VARIANT, source)).data
    finally:
        await sandbox.close()


async def test_a_cancelled_caller_kills_its_worker(sandbox: Sandbox) -> None:
    await sandbox.open()
    with buffer(pictures.many_scans_jpeg()) as source:
        caller = asyncio.create_task(sandbox.run(VARIANT, source))
        await asyncio.sleep(0.1)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert sandbox.killed == 1


async def test_killed_workers_are_replaced(sandbox: Sandbox) -> None:
    # The servers of the test run are descendants too, and must survive.
    before = descendants()
    with buffer(pictures.jpeg()) as source:
        await asyncio.gather(*(sandbox.run(VARIANT, source) for _ in range(4)))
        for pid in descendants() - before:
            os.kill(pid, signal.SIGKILL)
        results = await asyncio.gather(*(sandbox.run(VARIANT, source) for _ in range(4)))
    assert all(result.data for result in results)


async def test_close_leaves_no_process_and_no_file_descriptor() -> None:
    before, fds = descendants(), len(os.listdir("/proc/self/fd"))
    sandbox = Sandbox(2, memory_bytes=512 << 20, deadline_s=20)
    with buffer(pictures.jpeg()) as source:
        await asyncio.gather(*(sandbox.run(VARIANT, source) for _ in range(4)))
        started = descendants() - before
        assert len(started) >= 2
        await sandbox.close()

    async def have_ended() -> bool:
        return not any(is_alive(pid) for pid in started)

    await until(have_ended)
    assert len(os.listdir("/proc/self/fd")) == fds


async def test_a_worker_has_no_credentials_in_its_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGIFY_S3_SECRET_KEY", "secret")
    before = descendants()
    await sandbox.open()
    for pid in descendants() - before:
        assert b"TAGIFY" not in Path(f"/proc/{pid}/environ").read_bytes()


async def test_a_worker_gains_no_privileges_and_is_hidden(sandbox: Sandbox) -> None:
    with buffer(pictures.jpeg()) as source:
        await sandbox.run(VARIANT, source)
    (pid,) = sandbox.idle_pids
    assert "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "900"
