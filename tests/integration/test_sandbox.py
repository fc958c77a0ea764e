"""The sandbox: its results, and that a worker that hangs, exceeds its memory or crashes does not harm the parent."""

import asyncio
import io
import os
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

import orjson
import pytest
from PIL import Image

from tagify.errors import Undecodable
from tagify.sandbox import DecodeJob, Sandbox, SharedBuffer, forkserver
from tagify.sandbox.worker import ForkServer
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


async def test_decoders_write_nothing_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    """Pillow and libtiff print a line for each oddity of a file."""
    odd = pictures.encoded(pictures.gradient(600, 400), "TIFF", compression="tiff_lzw")
    quiet = Sandbox(1, memory_bytes=512 << 20, deadline_s=20)
    for length in (len(odd) - 4, len(odd) - 30, len(odd) - 100):
        with buffer(odd[:length]) as source, suppress(Undecodable):
            await quiet.run(VARIANT, source)
    await quiet.close()
    assert capfd.readouterr().err == ""


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
        killed = descendants() - before
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

        async def have_ended() -> bool:
            return not any(is_alive(pid) for pid in killed)

        # A worker that gets a job before its end looks like one that the job has crashed.
        await until(have_ended)
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


class Escape(Protocol):
    def __call__(self, parent: int, port: int) -> object: ...


def _connect(parent: int, port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=1)


def _write_file(parent: int, port: int) -> None:
    Path(f"/tmp/tagify-escape-{parent}").write_text("x")


ESCAPES: dict[str, Escape] = {
    "environ": lambda parent, port: Path(f"/proc/{parent}/environ").read_bytes(),
    "mem": lambda parent, port: Path(f"/proc/{parent}/mem").open("rb").close(),
    "connect": _connect,
    "write": _write_file,
    "signal": lambda parent, port: os.kill(parent, 0),
    "fork": lambda parent, port: os.fork(),
    "own environ": lambda parent, port: Path("/proc/self/environ").read_bytes(),
    "stdin": lambda parent, port: os.read(0, 1)[0],
    "memory": lambda parent, port: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
    "unix": lambda parent, port: socket.socket(socket.AF_UNIX).connect("/run/systemd/notify"),
}


def _attempt(escape: Escape, parent: int, port: int) -> str:
    try:
        return f"succeeded: {escape(parent, port)!r}"[:100]
    except Exception as error:
        return type(error).__name__


def _run_escapes(job: DecodeJob, source: BinaryIO) -> bytes:
    parent, port = orjson.loads(source.read())
    return orjson.dumps({name: _attempt(escape, parent, port) for name, escape in ESCAPES.items()})


async def test_a_worker_that_was_taken_over_reaches_nothing_but_its_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker runs code of this test: a fork server that is this module instead of the real one."""
    monkeypatch.setattr(ForkServer, "MODULE", __name__)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    server = socket.create_server(("127.0.0.1", 0))
    sandbox = Sandbox(1, memory_bytes=512 << 20, deadline_s=20)
    try:
        with server, buffer(orjson.dumps([os.getpid(), server.getsockname()[1]])) as source:
            result = await sandbox.run(DecodeJob("escape", 1), source)
    finally:
        await sandbox.close()
    outcomes = orjson.loads(result.data)
    assert set(outcomes) == set(ESCAPES)
    assert {name: outcome for name, outcome in outcomes.items() if outcome.startswith("succeeded")} == {}


async def test_a_worker_gains_no_privileges_and_is_hidden(sandbox: Sandbox) -> None:
    with buffer(pictures.jpeg()) as source:
        await sandbox.run(VARIANT, source)
    (pid,) = sandbox.idle_pids
    assert "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "900"
    status = Path(f"/proc/{pid}/status").read_text()
    assert "Seccomp:\t2" in status


if __name__ == "__main__":
    vars(forkserver)["run_job"] = _run_escapes
    forkserver.main()
