"""Files that were written a moment ago are not read yet."""

import asyncio

import pytest

from ingest.job import ContentMatches, Job, JobResult
from ingest.pipeline.delay_queue import DelayQueue
from ingest.watch.debounce import CLOSED_S
from tagify.model import Content, FileFacts, LibraryId


def job(mtime_s: float, outcomes: list[JobResult], *, live: bool = False) -> Job:
    async def twins(_: Content) -> ContentMatches:
        raise AssertionError

    file = FileFacts("a.jpg", 1, int(mtime_s * 1e9), 1)
    return Job(LibraryId("0" * 24), "/", file, live, twins, outcomes.append)


@pytest.mark.parametrize(
    ("written_ago", "live", "missing"),
    [(0.0, False, 1.0), (0.4, False, 0.6), (2.0, False, 0.0), (0.0, True, CLOSED_S), (-60.0, False, 0.0)],
)
def test_what_is_missing_is_the_rest_of_the_settle_time(
    written_ago: float, live: bool, missing: float
) -> None:
    ageing = DelayQueue(1.0, clock=lambda: 1000.0)
    assert ageing.missing_s(job(1000.0 - written_ago, [], live=live)) == pytest.approx(missing, abs=1e-6)


async def test_a_job_comes_out_when_its_file_is_old_enough() -> None:
    now = 1000.0
    ageing = DelayQueue(0.01, clock=lambda: now)
    young = job(1000.0, [])
    await ageing.put(young)
    assert await ageing.get() is young


async def test_jobs_that_are_given_up_come_to_an_end() -> None:
    outcomes: list[JobResult] = []
    ageing = DelayQueue(60.0, clock=lambda: 1000.0)
    for _ in range(3):
        await ageing.put(job(1000.0, outcomes))
    waiting = asyncio.ensure_future(ageing.get())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    ageing.give_up()
    assert outcomes == [JobResult.DONE] * 3
