"""From a file to its blobs and its write: read, decode, upload, hand over. Blob before document."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ingest.lanes import Lanes
from ingest.paths import to_os
from ingest.patience import patiently
from ingest.reader import Reading, Unsettled, VerifiedReader, read, unchanged
from ingest.writer import Writer
from tagify.blobs import Blobs, as_binary
from tagify.catalog import Store
from tagify.imaging import Derived, Undecodable, derive
from tagify.logs import fields
from tagify.metrics import Metrics
from tagify.model import Bucket, Content, FileFacts, LibraryId
from tagify.threads import Threads

logger = logging.getLogger(__name__)

Finished = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One file to take in. `finished` is called once, when its write is durable or it came to nothing."""

    library_id: LibraryId
    root: str
    path: str
    live: bool
    finished: Finished

    @property
    def place(self) -> str:
        """The file's full path, as `os` takes it."""
        return os.path.join(self.root, to_os(self.path))  # noqa: PTH118 - names may be no Unicode


class Pipeline:
    """A bounded queue of files and the workers that take them in."""

    def __init__(
        self,
        blobs: Blobs,
        writer: Writer,
        metrics: Metrics,
        *,
        workers: int,
        queue_size: int,
        max_pixels: int,
    ) -> None:
        self._blobs = blobs
        self._writer = writer
        self._max_pixels = max_pixels
        self._workers = workers
        self._lanes: Lanes[Job] = Lanes(queue_size)
        self._threads = Threads("ingest", workers)
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
        self._queued.set(len(self._lanes))

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._work())
        finally:
            await self._threads.close()

    async def _work(self) -> None:
        while True:
            job = await self._lanes.get()
            self._queued.set(len(self._lanes))
            handed_over = False
            try:
                with self._seconds.timed():
                    handed_over = await self._take(job)
            except Exception:
                logger.exception("a file could not be taken in", extra=fields(file=job.place))
            finally:
                if not handed_over:
                    job.finished()

    async def _take(self, job: Job) -> bool:
        """Whether the file became a write, whose end calls `finished`."""
        try:
            write = await self._made(job)
        except FileNotFoundError:
            self._files.add(outcome="gone")
            return False
        except Unsettled as error:
            logger.info("%s", error)
            self._files.add(outcome="unsettled")
            return False
        self._files.add(outcome="failed" if write.error else "ready")
        durable = await self._writer.put(write)
        durable.add_done_callback(lambda _: job.finished())
        return True

    async def _made(self, job: Job) -> Store:
        """The write for the file, its blobs stored. Raises FileNotFoundError, Unsettled."""
        try:
            reading = await self._threads.run(read, job.place, job.path)
            derived = await self._derived(job, reading)
        except FileNotFoundError:
            raise
        except OSError as error:
            return self._unreadable(job, error)
        except Undecodable as error:
            logger.warning("not decoded: %s", error, extra=fields(file=job.place))
            return Store(job.library_id, reading.file, error=str(error))
        await self._upload(job, reading, derived)
        return Store(job.library_id, reading.file, reading.content, derived.picture)

    async def _derived(self, job: Job, reading: Reading) -> Derived:
        if reading.data is not None:
            return await self._threads.run(derive, reading.data, max_pixels=self._max_pixels)
        derived = await self._threads.run(derive, Path(job.place), max_pixels=self._max_pixels)
        if not await self._threads.run(unchanged, job.place, reading.file):
            raise Unsettled(f"{job.place} changes while it is decoded")
        return derived

    async def _upload(self, job: Job, reading: Reading, derived: Derived) -> None:
        content = reading.content
        await self._once(
            Bucket.THUMBS,
            content,
            lambda: self._blobs.put(Bucket.THUMBS, content, derived.thumb, derived.thumb_mime),
        )
        await self._once(
            Bucket.ORIGINALS, content, partial(self._put_original, job, reading, derived.picture.mime)
        )

    async def _once(self, bucket: Bucket, content: Content, put: Callable[[], Awaitable[None]]) -> None:
        """Store what is not stored yet, however long the store is away."""

        async def attempt() -> None:
            if not await self._blobs.has(bucket, content):
                await put()

        await patiently("objects", attempt)

    async def _put_original(self, job: Job, reading: Reading, mime: str) -> None:
        if reading.data is not None:
            await self._blobs.put(Bucket.ORIGINALS, reading.content, reading.data, mime)
            return
        stream = await self._threads.run(VerifiedReader, job.place, reading)
        try:
            await self._blobs.put_stream(
                Bucket.ORIGINALS, reading.content, as_binary(stream), reading.file.size, mime
            )
        finally:
            stream.close()

    def _unreadable(self, job: Job, error: OSError) -> Store:
        """Kept as failed with facts that no file has, so that every comparison tries it again."""
        reason = f"the file cannot be read: {error.strerror or error}"
        logger.warning("%s", reason, extra=fields(file=job.place))
        return Store(job.library_id, FileFacts(job.path, 0, 0, 0), error=reason)
