"""The threads of a library: a call that hangs is given up once the root check hangs too."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from ingest import library_threads
from ingest.library_threads import (
    STALL_DEADLINES,
    LibraryThreadPools,
    LibraryThreads,
    NotAnswering,
    ReadStalled,
    report_progress,
)
from tests.support.waiting import until

DEADLINE_S = 0.05


@pytest.fixture
async def threads(tmp_path: Path) -> AsyncIterator[LibraryThreads]:
    pools = LibraryThreadPools(DEADLINE_S)
    made = pools.of(str(tmp_path))
    assert pools.of(str(tmp_path)) is made
    yield made
    await pools.close()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The root check hangs until this event is set."""
    go = threading.Event()
    monkeypatch.setattr(library_threads, "_list_first", lambda _: go.wait())
    return go


class File:
    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


async def test_a_call_that_takes_long_returns_while_the_root_answers(threads: LibraryThreads) -> None:
    go = threading.Event()
    running = asyncio.create_task(threads.run(go.wait))
    await asyncio.sleep(5 * DEADLINE_S)
    go.set()
    assert await running
    assert threads.is_answering


async def test_a_read_may_take_long_while_it_reports_progress(threads: LibraryThreads) -> None:
    def read() -> str:
        for _ in range(2 * STALL_DEADLINES):
            time.sleep(DEADLINE_S)
            report_progress()
        return "all"

    assert await threads.read(read) == "all"


async def test_reads_without_progress_end_and_others_go_on_up_to_a_limit(
    threads: LibraryThreads, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(library_threads, "STALLED_LIMIT", 6)
    go = threading.Event()
    stalled = await asyncio.gather(*(threads.read(go.wait) for _ in range(5)), return_exceptions=True)
    assert {type(error) for error in stalled} == {ReadStalled}
    assert await threads.read(lambda: "read") == "read"
    with pytest.raises(ReadStalled):
        await threads.read(go.wait)
    assert "reads hang" in caplog.text
    with pytest.raises(NotAnswering, match="no further file is read"):
        await threads.read(lambda: "read")
    assert threads.is_answering
    go.set()

    async def is_read() -> bool:
        with suppress(NotAnswering):
            return await threads.read(lambda: True)
        return False

    await until(is_read)


async def test_a_check_for_another_library_has_a_deadline(threads: LibraryThreads) -> None:
    go = threading.Event()
    assert await threads.check(lambda: "checked") == "checked"
    with pytest.raises(NotAnswering):
        await threads.check(go.wait)
    made = threading.Event()
    with pytest.raises(NotAnswering):
        await threads.check(made.set)
    assert not made.is_set()
    go.set()

    async def is_checked() -> bool:
        with suppress(NotAnswering):
            return await threads.check(lambda: True)
        return False

    await until(is_checked)


async def test_all_awaited_calls_end_when_the_root_check_hangs(
    threads: LibraryThreads, hanging: threading.Event
) -> None:
    file = File()

    def open_late() -> File:
        hanging.wait()
        return file

    calls = [threads.read(open_late), threads.run(hanging.wait), threads.watch(hanging.wait)]
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in errors] == [NotAnswering] * 3
    with pytest.raises(NotAnswering):
        await threads.run(lambda: 1)
    for _ in range(3):
        with pytest.raises(NotAnswering):
            await threads.probe(lambda: 1)
    hanging.set()
    assert await threads.probe(lambda: 1) == 1
    assert await threads.run(lambda: 2) == 2
    assert await asyncio.to_thread(file.closed.wait, 5)


async def test_a_read_in_another_thread_ends_too(threads: LibraryThreads, hanging: threading.Event) -> None:
    def read() -> bytes:
        hanging.wait()
        return b"late"

    with pytest.raises(NotAnswering):
        await asyncio.to_thread(threads.blocking_read, read)
    hanging.set()
    await threads.probe(lambda: 1)
    assert await asyncio.to_thread(threads.blocking_read, read) == b"late"


async def test_files_are_closed_in_a_thread(threads: LibraryThreads) -> None:
    file = File()
    threads.close_later(file, None)
    assert await asyncio.to_thread(file.closed.wait, 5)


async def test_threads_that_hang_do_not_hold_up_the_end(
    threads: LibraryThreads, hanging: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_threads, "CLOSE_S", 0.01)
    with pytest.raises(NotAnswering):
        await threads.run(hanging.wait)
    async with asyncio.timeout(5):
        await threads.close()
    alive = {thread for thread in threading.enumerate() if thread.name.startswith(("list-", "root-"))}
    assert all(thread.daemon for thread in alive)
    hanging.set()

    async def have_ended() -> bool:
        return not any(thread.is_alive() for thread in alive)

    await until(have_ended)
