"""From a file to its blobs and its write: read, decode, upload, hand over. Blob before document."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path

from ingest.lanes import Lanes
from ingest.paths import to_os
from ingest.patience import patiently
from ingest.reader import Reading, Unsettled, VerifiedReader, read, read_sidecar, unchanged
from ingest.writer import Writer
from tagify.blobs import Blobs, as_binary
from tagify.budget import Budget
from tagify.catalog import Store
from tagify.errors import Undecodable
from tagify.imaging import Derived, decode_bytes, derive, sidecar_keywords
from tagify.logs import fields
from tagify.metrics import Metrics
from tagify.model import Bucket, Content, Entry, FileFacts, LibraryId, Picture
from tagify.threads import Threads

logger = logging.getLogger(__name__)

READERS = 4
"""Threads that read and hash files."""

LARGE_SHARE = 0.125
"""What decodes to more than this share of the budget is large, and goes one at a time."""


@dataclass(frozen=True, slots=True)
class Twins:
    """What the catalog holds of a content.

    `stored`: a ready image has it, so its blobs are there. `known`: some image has it, and they may
    be there. `left` is an image of it whose own file has left its place.
    """

    stored: bool
    known: bool
    left: Entry | None


class Outcome(Enum):
    """What became of a job: its write is durable, or there was nothing to write; the file is not what
    was looked at any more; the catalog refused the write."""

    DONE = "done"
    CHANGED = "changed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Job:
    """One file to take in, as it was when it was looked at.

    `twins` tells of images with the same content. `finished` is called once.
    """

    library_id: LibraryId
    root: str
    file: FileFacts
    live: bool
    twins: Callable[[Content], Awaitable[Twins]]
    finished: Callable[[Outcome], None]

    @property
    def place(self) -> str:
        """The file's full path, as `os` takes it."""
        return os.path.join(self.root, to_os(self.file.path))  # noqa: PTH118 - names may be no Unicode


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the pipeline may hold: files on their way, files that wait, memory for decoded pixels."""

    workers: int
    queue_size: int
    decode_bytes: int
    max_pixels: int


class Pipeline:
    """A bounded queue of files and the workers that take them in.

    Each stage has threads of its own (reading, decoding, the store's uploads), so that a slow
    disk or store leaves the decoder its cores. Files that decode to much go one at a time by a
    worker of their own, so that small ones never queue behind many of them.
    """

    def __init__(self, blobs: Blobs, writer: Writer, metrics: Metrics, bounds: Bounds) -> None:
        self._blobs = blobs
        self._writer = writer
        self._bounds = bounds
        self._lanes: Lanes[Job] = Lanes(bounds.queue_size)
        self._large: asyncio.Queue[tuple[Job, int]] = asyncio.Queue(bounds.queue_size)
        self._budget = Budget(bounds.decode_bytes)
        self._readers = Threads("read", READERS)
        self._decoders = Threads("decode", os.cpu_count() or 1)
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
            await self._readers.close()
            await self._decoders.close()

    async def _work(self) -> None:
        while True:
            job = await self._lanes.get()
            self._queued.set(len(self._lanes) + self._large.qsize())
            cost = await self._cost(job)
            if cost > self._bounds.decode_bytes * LARGE_SHARE:
                await self._large.put((job, cost))
            else:
                await self._attempt(job, cost)

    async def _work_on_large(self) -> None:
        while True:
            await self._attempt(*await self._large.get())

    async def _cost(self, job: Job) -> int:
        """Memory that decoding will take; 0 for what cannot be opened, whose reason comes out later."""
        try:
            return await self._readers.run(decode_bytes, Path(job.place), max_pixels=self._bounds.max_pixels)
        except (OSError, Undecodable):
            return 0

    async def _attempt(self, job: Job, cost: int) -> None:
        """Every job comes to an outcome: here, or when its write does."""
        outcome: Outcome | None = Outcome.DONE
        try:
            with self._seconds.timed():
                outcome = await self._take(job, cost)
        except Exception:
            logger.exception("a file could not be taken in", extra=fields(file=job.place))
        finally:
            if outcome is not None:
                job.finished(outcome)

    async def _take(self, job: Job, cost: int) -> Outcome | None:
        """What became of the job; None where it became a write, whose end tells."""
        try:
            write = await self._made(job, cost)
        except FileNotFoundError:
            self._files.add(outcome="gone")
            return Outcome.DONE
        except Unsettled as error:
            logger.info("%s", error)
            self._files.add(outcome="unsettled")
            return Outcome.CHANGED
        self._files.add(outcome="failed" if write.error else "ready")
        durable = await self._writer.put(write, live=job.live)
        durable.add_done_callback(
            lambda done: job.finished(Outcome.REFUSED if done.exception() else Outcome.DONE)
        )
        return None

    async def _made(self, job: Job, cost: int) -> Store:
        """The write for the file, its blobs stored. Raises FileNotFoundError, Unsettled."""
        try:
            reading = await self._readers.run(read, job.place, job.file.path)
            if reading.file != job.file:
                # It may be another image's file by now, moved here: that must be looked at first.
                raise Unsettled(f"{job.place} is not the file that was seen")
            derived = await self._derived(job, reading, cost)
        except FileNotFoundError:
            raise
        except OSError as error:
            return self._unreadable(job, error)
        except Undecodable as error:
            logger.warning("not decoded: %s", error, extra=fields(file=job.place))
            return Store(job.library_id, reading.file, error=str(error))
        twins = await job.twins(reading.content)
        if not twins.stored:
            await self._upload(job, reading, derived, known=twins.known)
        picture = await self._readers.run(_with_sidecar, derived.picture, job.place)
        return Store(job.library_id, reading.file, reading.content, picture, came_from=twins.left)

    async def _derived(self, job: Job, reading: Reading, cost: int) -> Derived:
        max_pixels = self._bounds.max_pixels
        async with self._budget.hold(cost):
            if reading.data is not None:
                return await self._decoders.run(derive, reading.data, max_pixels=max_pixels)
            derived = await self._decoders.run(derive, Path(job.place), max_pixels=max_pixels)
        if not await self._readers.run(unchanged, job.place, reading.file):
            raise Unsettled(f"{job.place} changes while it is decoded")
        return derived

    async def _upload(self, job: Job, reading: Reading, derived: Derived, *, known: bool) -> None:
        """Both blobs, at the same time; what may be there already is looked for first."""
        content = reading.content
        await asyncio.gather(
            self._stored(
                Bucket.THUMBS,
                content,
                lambda: self._blobs.put(Bucket.THUMBS, content, derived.thumb, derived.thumb_mime),
                known=known,
            ),
            self._stored(
                Bucket.ORIGINALS,
                content,
                partial(self._put_original, job, reading, derived.picture.mime),
                known=known or reading.data is None,
            ),
        )

    async def _stored(
        self, bucket: Bucket, content: Content, put: Callable[[], Awaitable[None]], *, known: bool
    ) -> None:
        """Store it, however long the store is away; what may be there already is asked for first."""

        async def attempt() -> None:
            if not (known and await self._blobs.has(bucket, content)):
                await put()

        await patiently("objects", attempt)

    async def _put_original(self, job: Job, reading: Reading, mime: str) -> None:
        if reading.data is not None:
            await self._blobs.put(Bucket.ORIGINALS, reading.content, reading.data, mime)
            return
        stream = await self._readers.run(VerifiedReader, job.place, reading)
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
        return Store(job.library_id, FileFacts(job.file.path, 0, 0, 0), error=reason)


def _with_sidecar(picture: Picture, place: str) -> Picture:
    """With the keywords of the file beside it, after its own. Runs in a thread."""
    if not (packet := read_sidecar(place)):
        return picture
    return replace(picture, keywords=tuple(dict.fromkeys((*picture.keywords, *sidecar_keywords(packet)))))
