"""Files that were written a moment ago wait until they are old enough to be read.

The kernel's file times move in ticks of some milliseconds. A file that is read in the tick in which
it was written may be written once more in it and look the same ever after: same size, same time,
other bytes. And a comparison may come upon a file in the middle of its copying. So what is younger
than the settle time is not read yet, however it was found.
"""

import asyncio
import time
from collections.abc import Callable

from ingest.job import Job, JobResult
from ingest.watch.debounce import CLOSED_S

LIMIT = 1000
"""Jobs that wait to be old enough; who has more waits for room."""


class DelayQueue:
    """The jobs of one library whose files are too young, in the order in which they came."""

    def __init__(self, settle_s: float, clock: Callable[[], float] = time.time) -> None:
        self._settle_s = settle_s
        self._clock = clock
        self._young: asyncio.Queue[Job] = asyncio.Queue(LIMIT)

    def missing_s(self, job: Job) -> float:
        """Seconds until the file is old enough. A time in the future tells nothing: 0."""
        enough = min(self._settle_s, CLOSED_S) if job.live else self._settle_s
        age = self._clock() - job.file.mtime_ns / 1e9
        return max(0.0, enough - age) if age >= 0 else 0.0

    async def put(self, job: Job) -> None:
        """Let a job wait here, waiting for room."""
        await self._young.put(job)

    async def get(self) -> Job:
        """The next job, once its file is old enough."""
        job = await self._young.get()
        try:
            await asyncio.sleep(self.missing_s(job))
        except asyncio.CancelledError:
            job.finished(JobResult.DONE)
            raise
        return job

    def give_up(self) -> None:
        """Forget the jobs that wait."""
        while not self._young.empty():
            self._young.get_nowait().finished(JobResult.DONE)
