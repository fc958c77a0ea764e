"""Files are delayed until they reach a minimum age."""

import asyncio

import pytest

from ingest.job import ImportJob
from ingest.pipeline.delay_queue import DelayQueue
from ingest.watch.debounce import CLOSED_S
from tagify.model import FileFacts, LibraryId


def job(mtime_s: float, *, live: bool = False) -> ImportJob:
    return ImportJob(LibraryId("0" * 24), "/", FileFacts("a.jpg", 1, int(mtime_s * 1e9), 1), live)


@pytest.mark.parametrize(
    ("written_ago", "live", "remaining"),
    [(0.0, False, 1.0), (0.4, False, 0.6), (2.0, False, 0.0), (0.0, True, CLOSED_S), (-60.0, False, 0.0)],
)
def test_a_file_waits_for_the_rest_of_the_settle_time(
    written_ago: float, live: bool, remaining: float
) -> None:
    queue = DelayQueue(1.0, clock=lambda: 1000.0)
    assert queue.remaining_s(job(1000.0 - written_ago, live=live)) == pytest.approx(remaining, abs=1e-6)


async def test_a_job_is_returned_once_its_file_is_old_enough() -> None:
    now = 1000.0
    queue = DelayQueue(0.01, clock=lambda: now)
    young = job(1000.0)
    await queue.put(young)
    assert await queue.get() is young


async def test_no_job_is_lost_when_get_is_cancelled() -> None:
    queue = DelayQueue(60.0, clock=lambda: 1000.0)
    jobs = [job(1000.0) for _ in range(3)]
    for young in jobs:
        await queue.put(young)
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert queue.drain() == jobs
    assert queue.drain() == []
