"""Queue and workers of import jobs: bounds their number, their order and their memory."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

from ingest.job import ImportJob, JobResult
from ingest.library_threads import NotAnswering
from ingest.pipeline.batch_writer import BatchWriter
from ingest.pipeline.content_lookup import MovePending
from ingest.pipeline.decoder import Lane, NeedsLane
from ingest.pipeline.disk_space import DiskSpaceGuard
from ingest.pipeline.file_reader import IN_MEMORY_BYTES, FileChanged
from ingest.pipeline.importer import Importer
from ingest.pipeline.keyword_limit import limit_keywords
from tagify.catalog import CatalogError, MoveImage, UpsertImage
from tagify.concurrency.byte_budget import ByteBudget
from tagify.concurrency.priority import PriorityQueue
from tagify.concurrency.tasks import run_to_completion, run_until_first_ends
from tagify.logs import fields
from tagify.metrics import Metrics
from tagify.model import FileFacts
from tagify.storage.upload import PART_SIZE

logger = logging.getLogger(__name__)

ORIGINAL_BUDGET_BYTES = 128 << 20
"""Bytes of originals in memory at a time, from their reading to the end of their upload."""

Import = Callable[[], Awaitable[UpsertImage | MoveImage]]
"""Imports the file of a job, and returns the command to write."""


@dataclass(frozen=True, slots=True)
class PipelineLimits:
    """Bounds: concurrent workers, jobs that wait in each lane."""

    workers: int
    queue_size: int


@dataclass(frozen=True, slots=True, eq=False)
class _QueuedJob:
    job: ImportJob
    result: asyncio.Future[JobResult] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def resolve(self, result: JobResult) -> None:
        """Set the result, unless the future was cancelled."""
        if not self.result.done():
            self.result.set_result(result)


class Pipeline:
    """A bounded priority queue of import jobs and the workers that process them.

    Images that decode to a large size are processed one at a time by a separate worker, and so are images
    that exceeded a limit of the sandbox in their first attempt: other images never queue behind them.
    """

    def __init__(
        self,
        importer: Importer,
        batch_writer: BatchWriter,
        metrics: Metrics,
        limits: PipelineLimits,
        disk_space: DiskSpaceGuard,
    ) -> None:
        self._disk_space = disk_space
        self._importer = importer
        self._batch_writer = batch_writer
        self._limits = limits
        self._jobs: PriorityQueue[_QueuedJob] = PriorityQueue(limits.queue_size)
        self._slow_lanes: dict[Lane, asyncio.Queue[_QueuedJob]] = {
            lane: asyncio.Queue(limits.queue_size) for lane in (Lane.LARGE, Lane.SUSPECT)
        }
        self._original_budget = ByteBudget(ORIGINAL_BUDGET_BYTES)
        self._queued = metrics.gauge(
            "tagify_ingest_queue_files", "Files that wait for a worker.", old="ingest_queue_files"
        )
        self._submitted: dict[_QueuedJob, float] = {}
        metrics.gauge(
            "tagify_ingest_oldest_file_seconds",
            "Age of the oldest file that waits, in seconds.",
        ).set_function(self._oldest_age_s)
        self._files = metrics.counter(
            "tagify_ingest_files_total",
            "Files processed, by outcome (ready, failed, unsettled, gone).",
            labelled=True,
            old="ingest_files_total",
        )
        self._seconds = metrics.histogram(
            "tagify_ingest_file_seconds",
            "Time from a worker's start on a file to its write.",
            old="ingest_file_seconds",
        )

    async def submit(self, job: ImportJob) -> asyncio.Future[JobResult]:
        """Queue a job, waiting for capacity in its lane (back-pressure).

        The future resolves once the job's write is durable, or there is nothing to write. It never raises.
        """
        queued = _QueuedJob(job)
        # A dictionary keeps the order of submission: its first entry is the oldest.
        self._submitted[queued] = time.monotonic()
        queued.result.add_done_callback(lambda _: self._submitted.pop(queued, None))
        try:
            await self._jobs.put(queued, live=job.live)
        except asyncio.CancelledError:
            queued.result.cancel()
            raise
        self._update_gauge()
        return queued.result

    def _oldest_age_s(self) -> float:
        oldest = next(iter(self._submitted.values()), None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    async def run(self) -> None:
        """Process jobs until cancelled."""
        try:
            await run_until_first_ends(
                *(self._process_lane(lane, queue) for lane, queue in self._slow_lanes.items()),
                *(self._process_jobs() for _ in range(self._limits.workers)),
            )
        finally:
            await run_to_completion(self._importer.close())

    async def _process_jobs(self) -> None:
        while True:
            queued = await self._jobs.get()
            self._update_gauge()
            await self._process(queued, Lane.QUICK)

    async def _process_lane(self, lane: Lane, queue: asyncio.Queue[_QueuedJob]) -> None:
        while True:
            await self._process(await queue.get(), lane)

    async def _process(self, queued: _QueuedJob, lane: Lane) -> None:
        """Process one job. It gets a result on every path: here, or when its write is durable."""
        job = queued.job
        result: JobResult | None = JobResult.DONE
        try:
            await self._disk_space.wait_for_space()
            result = await self._import_or_change_lane(queued, lane)
        except Exception:
            logger.exception("import failed", extra=fields(file=job.absolute_path))
        finally:
            if result is not None:
                queued.resolve(result)

    async def _import_or_change_lane(self, queued: _QueuedJob, lane: Lane) -> JobResult | None:
        try:
            return await self._import(queued, partial(self._importer.import_file, queued.job, lane))
        except NeedsLane as needed:
            return await self._change_lane(queued, needed)

    async def _import(self, queued: _QueuedJob, import_: Import) -> JobResult | None:
        """Import the file within the budget of originals. Raises NeedsLane."""
        async with self._original_budget.reserve(_memory_of_original(queued.job.file)):
            with self._seconds.time():
                return await self._import_and_write(queued, import_)

    async def _import_and_write(self, queued: _QueuedJob, import_: Import) -> JobResult | None:
        """Import the file and enqueue its write.

        None: the result is set when the write is durable, or when the moves that it waits for are.
        """
        job = queued.job
        try:
            command = await import_()
        except FileNotFoundError:
            self._files.add(outcome="gone")
            return JobResult.DONE
        except FileChanged as error:
            logger.info("%s", error)
            self._files.add(outcome="unsettled")
            return JobResult.CHANGED
        except NotAnswering as error:
            logger.info("%s", error)
            self._files.add(outcome="unsettled")
            return JobResult.DONE  # a scan follows when the library answers
        except MovePending as pending:
            self._files.add(outcome="unsettled")
            pending.written.add_done_callback(lambda _: queued.resolve(JobResult.CHANGED))
            return None
        except NeedsLane:
            raise
        except Exception as error:
            logger.exception("import failed", extra=fields(file=job.absolute_path))
            command = _failed(
                job, f"the file cannot be imported: a bug ({type(error).__name__}), see the log"
            )
        await self._write(queued, command)
        return None

    async def _change_lane(self, queued: _QueuedJob, needed: NeedsLane) -> JobResult | None:
        """Queue the job in its lane, waiting for capacity; a suspect file that finds none fails."""
        queue, job = self._slow_lanes[needed.lane], queued.job
        if needed.lane is Lane.SUSPECT:
            logger.warning("decoding stopped: %s", needed, extra=fields(file=job.absolute_path))
            if queue.full():
                return await self._import(queued, partial(self._importer.import_failed, job, str(needed)))
        await queue.put(queued)
        self._update_gauge()
        return None

    async def _write(self, queued: _QueuedJob, command: UpsertImage | MoveImage) -> None:
        """Enqueue the write of a job, whose result is set when it is durable."""
        job = queued.job
        is_failed = isinstance(command, UpsertImage) and command.error
        self._files.add(outcome="failed" if is_failed else "ready")
        durable = await self._batch_writer.enqueue(limit_keywords(command, job.absolute_path), live=job.live)
        durable.add_done_callback(lambda done: queued.resolve(_job_result(done.exception())))

    def _update_gauge(self) -> None:
        self._queued.set(len(self._jobs) + sum(queue.qsize() for queue in self._slow_lanes.values()))


def _failed(job: ImportJob, reason: str) -> UpsertImage:
    """A failed image with facts that no file has, so that every scan tries the file again."""
    facts = replace(job.file, size=0, mtime_ns=0, inode=0)
    return UpsertImage(job.library_id, facts, error=reason)


def _job_result(error: BaseException | None) -> JobResult:
    """A write that was refused for good is done: repeating it would be refused again."""
    return JobResult.DONE if error is None or isinstance(error, CatalogError) else JobResult.REJECTED


def _memory_of_original(file: FileFacts) -> int:
    return file.size if file.size <= IN_MEMORY_BYTES else PART_SIZE
