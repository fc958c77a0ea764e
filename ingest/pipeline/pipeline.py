"""Files on their way from a folder to the writer: how many, in what order, with how much memory."""

import asyncio
import logging
from dataclasses import dataclass

from ingest.job import Job, JobResult
from ingest.pipeline.batch_writer import Writer
from ingest.pipeline.file_reader import IN_MEMORY, Unsettled
from ingest.pipeline.importer import Importer
from tagify.concurrency.byte_budget import Budget
from tagify.concurrency.priority import PriorityQueue
from tagify.logs import fields
from tagify.metrics import Metrics
from tagify.model import FileFacts
from tagify.storage.store import PART_SIZE, ObjectStore

logger = logging.getLogger(__name__)

HELD_BYTES = 128 << 20
"""Bytes of originals that are held at a time, from their reading to the end of their upload."""

LARGE_SHARE = 0.125
"""What decodes to more than this share of the budget is large, and goes one at a time."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the pipeline may hold: files on their way, files that wait, memory for decoded pixels."""

    workers: int
    queue_size: int
    decode_bytes: int
    max_pixels: int


class Pipeline:
    """A bounded queue of files and the workers that take them in.

    Files that decode to much go one at a time by a worker of their own, so that small ones never
    queue behind many of them.
    """

    def __init__(self, blobs: ObjectStore, writer: Writer, metrics: Metrics, bounds: Bounds) -> None:
        self._importer = Importer(blobs, decode_bytes=bounds.decode_bytes, max_pixels=bounds.max_pixels)
        self._writer = writer
        self._bounds = bounds
        self._lanes: PriorityQueue[Job] = PriorityQueue(bounds.queue_size)
        self._large: asyncio.Queue[tuple[Job, int]] = asyncio.Queue(bounds.queue_size)
        self._held = Budget(HELD_BYTES)
        self._queued = metrics.gauge("ingest_queue_files", "Files that wait for a worker.")
        self._files = metrics.counter(
            "ingest_files_total",
            "Files taken in, by outcome (ready, failed, unsettled, gone).",
            labelled=True,
        )
        self._seconds = metrics.histogram(
            "ingest_file_seconds", "Time from a worker's start on a file to its write."
        )

    async def put(self, job: Job) -> None:
        """Take a job, waiting for room in its lane."""
        await self._lanes.put(job, live=job.live)
        self._queued.set(len(self._lanes) + self._large.qsize())

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._work_on_large())
                for _ in range(self._bounds.workers):
                    group.create_task(self._work())
        finally:
            await self._importer.close()

    async def _work(self) -> None:
        while True:
            job = await self._lanes.get()
            self._queued.set(len(self._lanes) + self._large.qsize())
            cost = await self._importer.cost(job)
            if cost > self._bounds.decode_bytes * LARGE_SHARE:
                await self._large.put((job, cost))
            else:
                await self._attempt(job, cost)

    async def _work_on_large(self) -> None:
        while True:
            await self._attempt(*await self._large.get())

    async def _attempt(self, job: Job, cost: int) -> None:
        """Every job comes to an outcome: here, or when its write does."""
        outcome: JobResult | None = JobResult.DONE
        try:
            async with self._held.hold(_held_bytes(job.file)):
                with self._seconds.timed():
                    outcome = await self._take(job, cost)
        except Exception:
            logger.exception("a file could not be taken in", extra=fields(file=job.place))
        finally:
            if outcome is not None:
                job.finished(outcome)

    async def _take(self, job: Job, cost: int) -> JobResult | None:
        """What became of the job; None where it became a write, whose end tells."""
        try:
            write = await self._importer.make(job, cost)
        except FileNotFoundError:
            self._files.add(outcome="gone")
            return JobResult.DONE
        except Unsettled as error:
            logger.info("%s", error)
            self._files.add(outcome="unsettled")
            return JobResult.CHANGED
        self._files.add(outcome="failed" if write.error else "ready")
        durable = await self._writer.put(write, live=job.live)
        durable.add_done_callback(
            lambda done: job.finished(JobResult.REFUSED if done.exception() else JobResult.DONE)
        )
        return None


def _held_bytes(file: FileFacts) -> int:
    return file.size if file.size <= IN_MEMORY else PART_SIZE
