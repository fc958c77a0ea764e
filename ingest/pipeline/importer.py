"""From a file to its blobs and its write: read, decode, upload. Blob before document."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from ingest.job import ImportJob
from ingest.pipeline.content_lookup import ContentLookup
from ingest.pipeline.file_reader import (
    FileChanged,
    FileSnapshot,
    VerifiedReader,
    is_unchanged,
    read_file,
    read_sidecar,
)
from tagify.catalog import UpsertImage
from tagify.concurrency.byte_budget import ByteBudget
from tagify.concurrency.priority import PrioritySemaphore
from tagify.concurrency.retry import retry_while_unavailable
from tagify.concurrency.thread_pool import ThreadPool
from tagify.errors import Undecodable
from tagify.imaging import DecodedOriginal, decode_original, estimate_decode_bytes, sidecar_keywords
from tagify.logs import fields
from tagify.model import Bucket, Content, FileFacts, Picture
from tagify.storage.store import ObjectStore, as_binary

logger = logging.getLogger(__name__)

READ_THREADS = 4
"""ThreadPool that read and hash files."""


class Importer:
    """Makes the write for a file once its blobs are stored.

    Each stage has threads of its own (reading, decoding, the store's uploads), so that a slow disk
    or store leaves the decoder its cores; what is decoded at a time has a budget.
    """

    def __init__(
        self, blobs: ObjectStore, content_lookup: ContentLookup, *, decode_bytes: int, max_pixels: int
    ) -> None:
        self._blobs = blobs
        self._content_lookup = content_lookup
        self._max_pixels = max_pixels
        self._budget = ByteBudget(decode_bytes)
        self._readers = ThreadPool("read", READ_THREADS)
        cores = os.cpu_count() or 1
        self._decoders = ThreadPool("decode", cores)
        self._turns = PrioritySemaphore(cores)

    async def close(self) -> None:
        """Wait for what its threads do, and end them."""
        await self._readers.close()
        await self._decoders.close()

    async def estimate_memory(self, job: ImportJob) -> int:
        """Memory that decoding will take; 0 for what cannot be opened, whose reason comes out later."""
        try:
            return await self._readers.run(
                estimate_decode_bytes, Path(job.absolute_path), max_pixels=self._max_pixels
            )
        except (OSError, Undecodable):
            return 0

    async def import_file(self, job: ImportJob, cost: int) -> UpsertImage:
        """The write for the file, its blobs stored. Raises FileNotFoundError, FileChanged."""
        try:
            reading = await self._readers.run(read_file, job.absolute_path, job.file.path)
            if reading.file != job.file:
                # It may be another image's file by now, moved here: that must be looked at first.
                raise FileChanged(f"{job.absolute_path} is not the file that was seen")
            derived = await self._derived(job, reading, cost)
        except FileNotFoundError:
            raise
        except OSError as error:
            return self._unreadable(job, error)
        except Undecodable as error:
            logger.warning("not decoded: %s", error, extra=fields(file=job.absolute_path))
            return UpsertImage(job.library_id, reading.file, error=str(error))
        matches = await self._content_lookup.matches(reading.content)
        if not matches.stored:
            await self._upload(job, reading, derived, known=matches.known)
        picture = await self._readers.run(_with_sidecar, derived.picture, job.absolute_path)
        return UpsertImage(
            job.library_id, reading.file, reading.content, picture, moved_from=matches.moved_from
        )

    async def _derived(self, job: ImportJob, reading: FileSnapshot, cost: int) -> DecodedOriginal:
        max_pixels = self._max_pixels
        async with self._budget.reserve(cost), self._turns.permit(live=job.live):
            if reading.data is not None:
                return await self._decoders.run(decode_original, reading.data, max_pixels=max_pixels)
            derived = await self._decoders.run(
                decode_original, Path(job.absolute_path), max_pixels=max_pixels
            )
        if not await self._readers.run(is_unchanged, job.absolute_path, reading.file):
            raise FileChanged(f"{job.absolute_path} changes while it is decoded")
        return derived

    async def _upload(
        self, job: ImportJob, reading: FileSnapshot, derived: DecodedOriginal, *, known: bool
    ) -> None:
        """Both blobs, at the same time; what may be there already is looked for first."""
        content = reading.content
        await asyncio.gather(
            self._stored(
                Bucket.THUMBS,
                content,
                lambda: self._blobs.upload(Bucket.THUMBS, content, derived.thumb, derived.thumb_mime),
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
            if not (known and await self._blobs.exists(bucket, content)):
                await put()

        await retry_while_unavailable("objects", attempt)

    async def _put_original(self, job: ImportJob, reading: FileSnapshot, mime: str) -> None:
        if reading.data is not None:
            await self._blobs.upload(Bucket.ORIGINALS, reading.content, reading.data, mime)
            return
        stream = await self._readers.run(VerifiedReader, job.absolute_path, reading)
        try:
            await self._blobs.upload_stream(
                Bucket.ORIGINALS, reading.content, as_binary(stream), reading.file.size, mime
            )
        finally:
            stream.close()

    def _unreadable(self, job: ImportJob, error: OSError) -> UpsertImage:
        """Kept as failed with facts that no file has, so that every comparison tries it again."""
        reason = f"the file cannot be read: {error.strerror or error}"
        logger.warning("%s", reason, extra=fields(file=job.absolute_path))
        return UpsertImage(job.library_id, FileFacts(job.file.path, 0, 0, 0), error=reason)


def _with_sidecar(picture: Picture, place: str) -> Picture:
    """With the keywords of the file beside it, after its own. Runs in a thread."""
    if not (packet := read_sidecar(place)):
        return picture
    return replace(picture, keywords=tuple(dict.fromkeys((*picture.keywords, *sidecar_keywords(packet)))))
