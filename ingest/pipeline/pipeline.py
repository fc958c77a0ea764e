"""Queue and workers of import jobs: bounds their number, their order and their memory."""

import asyncio
import logging
from dataclasses import dataclass, field, replace

from ingest.job import ImportJob, JobResult
from ingest.pipeline.batch_writer import BatchWriter
from ingest.pipeline.disk_space import DiskSpaceGuard
from ingest.pipeline.file_reader import IN_MEMORY_BYTES, FileChanged
from ingest.pipeline.importer import Importer
from ingest.pipeline.keyword_limit import limit_keywords
from tagify.catalog import CatalogError, UpsertImage
from tagify.concurrency.byte_budget import ByteBudget
from tagify.concurrency.priority import PriorityQueue
from tagify.logs import fields
from tagify.metrics import Metrics
from tagify.model import FileFacts
from tagify.storage.store import PART_SIZE

logger = logging.getLogger(__name__)

MAX_ORIGINAL_BYTES = 128 << 20
"""Bytes of originals in memory at a time, from their reading to the end of their upload."""

LARGE_SHARE = 0.125
"""Images that decode to more than this share of the budget are processed one at a time."""


@dataclass(frozen=True, slots=True)
class PipelineLimits:
    """Bounds: concurrent workers, jobs that wait in each lane, bytes of decoded pixels."""

    workers: int
    queue_size: int
    decode_bytes: int


@dataclass(frozen=True, slots=True)
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

    Images that decode to a large size are processed one at a time by a separate worker, so that small images
    never queue behind many of them.
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
        self._large: asyncio.Queue[tuple[_QueuedJob, int]] = asyncio.Queue(limits.queue_size)
        self._original_budget = ByteBudget(MAX_ORIGINAL_BYTES)
        self._queued = metrics.gauge("ingest_queue_files", "Files that wait for a worker.")
        self._files = metrics.counter(
            "ingest_files_total",
            "Files processed, by outcome (ready, failed, unsettled, gone).",
            labelled=True,
        )
        self._seconds = metrics.histogram(
            "ingest_file_seconds", "Time from a worker's start on a file to its write."
        )

    async def submit(self, job: ImportJob) -> asyncio.Future[JobResult]:
        """Queue a job, waiting for capacity in its lane (back-pressure).

        The future resolves once the job's write is durable, or there is nothing to write. It never raises.
        """
        queued = _QueuedJob(job)
        await self._jobs.put(queued, live=job.live)
        self._update_gauge()
        return queued.result

    async def run(self) -> None:
        """Process jobs until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._process_large())
                for _ in range(self._limits.workers):
                    group.create_task(self._process_jobs())
        finally:
            await self._importer.close()

    async def _process_jobs(self) -> None:
        while True:
            queued = await self._jobs.get()
            self._update_gauge()
            memory = await self._estimate_memory(queued.job)
            if memory > self._limits.decode_bytes * LARGE_SHARE:
                await self._large.put((queued, memory))
            else:
                await self._process(queued, memory)

    async def _estimate_memory(self, job: ImportJob) -> int:
        try:
            return await self._importer.estimate_memory(job)
        except Exception:
            # Of one file only: its import fails with the reason, and this worker takes the next one.
            logger.exception("memory estimate failed", extra=fields(file=job.absolute_path))
            return 0

    async def _process_large(self) -> None:
        while True:
            await self._process(*await self._large.get())

    async def _process(self, queued: _QueuedJob, memory: int) -> None:
        """Process one job. It gets a result on every path: here, or when its write is durable."""
        job = queued.job
        result: JobResult | None = JobResult.DONE
        try:
            await self._disk_space.wait_for_space()
            async with self._original_budget.reserve(_memory_of_original(job.file)):
                with self._seconds.time():
                    result = await self._import(queued, memory)
        except Exception:
            logger.exception("import failed", extra=fields(file=job.absolute_path))
        finally:
            if result is not None:
                queued.resolve(result)

    async def _import(self, queued: _QueuedJob, memory: int) -> JobResult | None:
        """Import the file and enqueue its write. None: the result is set when the write is durable."""
        job = queued.job
        try:
            command = await self._importer.import_file(job, memory)
        except FileNotFoundError:
            self._files.add(outcome="gone")
            return JobResult.DONE
        except FileChanged as error:
            logger.info("%s", error)
            self._files.add(outcome="unsettled")
            return JobResult.CHANGED
        except Exception as error:
            logger.exception("import failed", extra=fields(file=job.absolute_path))
            command = _failed(job, f"it cannot be imported: a bug ({type(error).__name__}), see the log")
        is_failed = isinstance(command, UpsertImage) and command.error
        self._files.add(outcome="failed" if is_failed else "ready")
        durable = await self._batch_writer.enqueue(limit_keywords(command, job.absolute_path), live=job.live)
        durable.add_done_callback(lambda done: queued.resolve(_job_result(done.exception())))
        return None

    def _update_gauge(self) -> None:
        self._queued.set(len(self._jobs) + self._large.qsize())


def _failed(job: ImportJob, reason: str) -> UpsertImage:
    """A failed image with facts that no file has, so that every scan tries the file again."""
    facts = replace(job.file, size=0, mtime_ns=0, inode=0)
    return UpsertImage(job.library_id, facts, error=reason)


def _job_result(error: BaseException | None) -> JobResult:
    """A write that was refused for good is done: repeating it would be refused again."""
    return JobResult.DONE if error is None or isinstance(error, CatalogError) else JobResult.REJECTED


def _memory_of_original(file: FileFacts) -> int:
    return file.size if file.size <= IN_MEMORY_BYTES else PART_SIZE
