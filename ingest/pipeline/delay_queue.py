"""Delays recently written files until they reach a minimum age.

The kernel's file times advance in ticks of some milliseconds. A file that is read in the tick in which it
was written may be written once more in the same tick and look the same ever after: same size, same time,
other bytes. And a scan may find a file in the middle of its copying. So a file younger than the settle
time is not read yet, whether an event or a scan found it.
"""

import asyncio
import time
from collections.abc import Callable

from ingest.job import ImportJob
from ingest.watch.debounce import CLOSED_S

LIMIT = 1000
"""Delayed jobs of a library; `put` waits while there are this many (back-pressure)."""


class DelayQueue:
    """The jobs of one library whose files are too young, first in, first out."""

    def __init__(self, settle_s: float, clock: Callable[[], float] = time.time) -> None:
        self._settle_s = settle_s
        self._clock = clock
        self._jobs: asyncio.Queue[ImportJob] = asyncio.Queue(LIMIT)
        self._next: ImportJob | None = None
        """The first job, taken from the queue, while `get` waits for its age."""

    def remaining_s(self, job: ImportJob) -> float:
        """Seconds until the file is old enough; 0 if its time is in the future: its age is unknown.

        By its ctime: a copy may set the mtime to that of its source before it is complete.
        """
        minimum_age = min(self._settle_s, CLOSED_S) if job.live else self._settle_s
        age = self._clock() - (job.file.ctime_ns or job.file.mtime_ns) / 1e9
        return max(0.0, minimum_age - age) if age >= 0 else 0.0

    async def put(self, job: ImportJob) -> None:
        """Add a job, waiting for capacity."""
        await self._jobs.put(job)

    async def get(self) -> ImportJob:
        """The next job, once its file is old enough. No job is lost when this is cancelled."""
        if self._next is None:
            self._next = await self._jobs.get()
        await asyncio.sleep(self.remaining_s(self._next))
        job, self._next = self._next, None
        return job

    def drain(self) -> list[ImportJob]:
        """Remove and return all jobs."""
        jobs = [self._next] if self._next else []
        self._next = None
        while not self._jobs.empty():
            jobs.append(self._jobs.get_nowait())
        return jobs
