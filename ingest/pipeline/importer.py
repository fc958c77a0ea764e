"""Imports one file: read, decode, upload. The objects are stored before the document is written."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import ParamSpec, TypeVar

from ingest.job import ImportJob
from ingest.library_threads import Closable, LibraryThreadPools, NotAnswering, ReadStalled
from ingest.pipeline.content_lookup import ContentLookup
from ingest.pipeline.decoder import Lane, NeedsLane, OriginalDecoder
from ingest.pipeline.file_reader import (
    FileChanged,
    FileSnapshot,
    VerifiedReader,
    open_sidecar,
    read_file,
)
from tagify.catalog import MoveImage, UpsertImage
from tagify.concurrency.retry import retry_while_unavailable
from tagify.errors import Undecodable
from tagify.logs import fields
from tagify.model import Bucket, CatalogEntry, Content, DecodedOriginal, FileFacts, Picture
from tagify.sandbox import SharedBuffer
from tagify.storage.store import ObjectStore, as_binary

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=UpsertImage | MoveImage)

READ_LIMIT_S = 900.0
"""Time for reading and hashing one file, in seconds: then its worker is free for other files, although the
root of the library answers. Enough for 10 GB at 11 MB/s."""

UNDECODABLE_MIME = "application/octet-stream"
"""Media type of a stored original that could not be decoded: any bytes."""

MAX_FAILED_ORIGINAL_BYTES = 512 << 20
"""Larger originals are not stored if they cannot be decoded: any file may have the suffix of an image."""


class Importer:
    """Imports files into the store; the result of each is the command that writes its document.

    Reading has the threads of the file's library, uploading its own, and decoding its processes, so that a
    slow disk or store does not take cores from the decoder.
    """

    def __init__(
        self,
        store: ObjectStore,
        content_lookup: ContentLookup,
        decoder: OriginalDecoder,
        threads: LibraryThreadPools,
    ) -> None:
        self._store = store
        self._content_lookup = content_lookup
        self._decoder = decoder
        self._threads = threads

    async def close(self) -> None:
        """End the decoding processes."""
        await self._decoder.close()

    async def import_file(self, job: ImportJob, lane: Lane) -> UpsertImage | MoveImage:
        """Store the file's objects and return its command.

        MoveImage where the image has this content already. Raises FileNotFoundError, FileChanged,
        NotAnswering, MovePending, and NeedsLane if the file must be decoded in another lane.
        """
        return await self._with_snapshot(job, lambda snapshot: self._import_snapshot(job, snapshot, lane))

    async def import_failed(self, job: ImportJob, reason: str) -> UpsertImage:
        """Store the original of a file that cannot be decoded, and return its command.

        Raises FileNotFoundError, FileChanged, NotAnswering, MovePending.
        """
        return await self._with_snapshot(job, lambda snapshot: self._failed(job, snapshot, reason))

    async def _with_snapshot(
        self, job: ImportJob, import_: Callable[[FileSnapshot], Awaitable[C]]
    ) -> C | UpsertImage:
        """Read the file of a job and import what was read."""
        try:
            snapshot = await self._read(job, read_file, job.root, job.file.path)
        except FileNotFoundError:
            raise
        except OSError as error:
            return self._unreadable(job, error)
        try:
            if snapshot.file != job.file:
                # It may be the file of another image, moved here: the change applier must check that first.
                raise FileChanged(f"{job.absolute_path} is not the file that was found")
            return await import_(snapshot)
        except ReadStalled as error:
            return self._unreadable(job, error)
        finally:
            self._close_later(job, snapshot)

    async def _import_snapshot(
        self, job: ImportJob, snapshot: FileSnapshot, lane: Lane
    ) -> UpsertImage | MoveImage:
        await self._content_lookup.check_moves(snapshot.content)
        if job.is_known and (entry := await self._same_content(job, snapshot)):
            return MoveImage(entry, job.library_id, snapshot.file)
        try:
            original = await self._decode(job, snapshot, lane)
        except OSError as error:
            return self._unreadable(job, error)
        except Undecodable as error:
            logger.warning("image not decodable: %s", error, extra=fields(file=job.absolute_path))
            return await self._failed(job, snapshot, str(error))
        matches = await self._content_lookup.matches(snapshot.content)
        if not matches.stored:
            await self._upload(job, snapshot, original, known=matches.known)
        picture = await self._add_sidecar(job, original.picture)
        return UpsertImage(
            job.library_id,
            snapshot.file,
            snapshot.content,
            picture,
            moved_from=matches.moved_from,
            tags_from=matches.out_of_reach,
        )

    async def _failed(self, job: ImportJob, snapshot: FileSnapshot, reason: str) -> UpsertImage:
        """A failed image. Its original is stored for download, unless it is empty or huge."""
        size = snapshot.file.size
        if not 0 < size <= MAX_FAILED_ORIGINAL_BYTES:
            return UpsertImage(job.library_id, snapshot.file, error=reason)
        matches = await self._content_lookup.matches(snapshot.content)
        if not matches.stored:
            await self._upload_unless_stored(
                Bucket.ORIGINALS,
                snapshot.content,
                partial(self._upload_original, job, snapshot, UNDECODABLE_MIME),
                check=matches.known or snapshot.data is None,
            )
        return UpsertImage(
            job.library_id,
            snapshot.file,
            snapshot.content,
            error=reason,
            moved_from=matches.moved_from,
            tags_from=matches.out_of_reach,
        )

    async def _same_content(self, job: ImportJob, snapshot: FileSnapshot) -> CatalogEntry | None:
        """The ready image at the file's path, if it has this content: only its facts have changed."""
        at_path = (job.library_id, job.file.path)
        matches = await self._content_lookup.matches(snapshot.content)
        entries = (entry for entry in matches.ready if (entry.library_id, entry.file.path) == at_path)
        return next(entries, None)

    async def _decode(self, job: ImportJob, snapshot: FileSnapshot, lane: Lane) -> DecodedOriginal:
        source = await self._read(job, snapshot.open_source)
        try:
            original = await self._decoder.decode(source, lane=lane, live=job.live)
        except (Undecodable, NeedsLane):
            # A decoder that reads from a file system that hangs is ended at its deadline.
            await self._read(job, snapshot.is_unchanged)
            raise
        finally:
            self._close_later(job, source)
        if not await self._read(job, snapshot.is_unchanged):
            raise FileChanged(f"{job.absolute_path} changed while it was decoded")
        return original

    async def _add_sidecar(self, job: ImportJob, picture: Picture) -> Picture:
        """The picture with the keywords of its sidecar after its own."""
        sidecar = await self._read(job, open_sidecar, job.root, job.file.path)
        if sidecar is None:
            return picture
        try:
            keywords = await self._decoder.sidecar_keywords(sidecar, live=job.live)
        except (Undecodable, OSError) as error:
            logger.warning("sidecar ignored: %s", error, extra=fields(file=job.absolute_path))
            return picture
        finally:
            self._close_later(job, sidecar)
        return replace(picture, keywords=tuple(dict.fromkeys((*picture.keywords, *keywords))))

    async def _upload(
        self, job: ImportJob, snapshot: FileSnapshot, original: DecodedOriginal, *, known: bool
    ) -> None:
        """Upload thumb and original concurrently. `known`: they may be stored already."""
        content = snapshot.content
        await asyncio.gather(
            self._upload_unless_stored(
                Bucket.THUMBS,
                content,
                lambda: self._store.upload(Bucket.THUMBS, content, original.thumb, original.thumb_mime),
                check=known,
            ),
            self._upload_unless_stored(
                Bucket.ORIGINALS,
                content,
                partial(self._upload_original, job, snapshot, original.picture.mime),
                check=known or snapshot.data is None,
            ),
        )

    async def _upload_unless_stored(
        self, bucket: Bucket, content: Content, upload: Callable[[], Awaitable[None]], *, check: bool
    ) -> None:
        """Upload, retrying while the store is unavailable. `check`: look first whether it is stored."""

        async def attempt() -> None:
            if not (check and await self._store.exists(bucket, content)):
                await upload()

        await retry_while_unavailable("objects", attempt)

    async def _upload_original(self, job: ImportJob, snapshot: FileSnapshot, mime: str) -> None:
        if snapshot.data is not None:
            await self._store.upload(Bucket.ORIGINALS, snapshot.content, snapshot.data, mime)
            return
        stream = VerifiedReader(snapshot, self._threads.of(job.root).blocking_read)
        await self._store.upload_stream(
            Bucket.ORIGINALS, snapshot.content, as_binary(stream), snapshot.file.size, mime
        )

    async def _read(self, job: ImportJob, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that reads the file's library, within READ_LIMIT_S. Raises NotAnswering."""
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                return await self._threads.of(job.root).read(call, *args, **kwargs)
        except TimeoutError:
            raise NotAnswering(f"{job.absolute_path} is not read within {READ_LIMIT_S:g} s") from None

    def _close_later(self, job: ImportJob, file: Closable) -> None:
        """Close a file in a thread of its library; bytes in memory are closed here."""
        is_in_memory = isinstance(file, SharedBuffer) or (
            isinstance(file, FileSnapshot) and file.descriptor is None
        )
        if is_in_memory:
            file.close()
        else:
            self._threads.of(job.root).close_later(file)

    def _unreadable(self, job: ImportJob, error: OSError) -> UpsertImage:
        """A failed image with facts that no file has, so that every scan tries the file again."""
        reason = f"the file cannot be read: {error.strerror or error}"
        logger.warning("%s", reason, extra=fields(file=job.absolute_path))
        return UpsertImage(job.library_id, FileFacts(job.file.path, 0, 0, 0), error=reason)
