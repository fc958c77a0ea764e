"""Writes commands to the catalog in batches: many imported files, one transaction."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ingest.lease import HeldLeases
from tagify.catalog import (
    Catalog,
    CatalogError,
    ContentMarkedForDeletion,
    ImageCommand,
    LeaseLost,
    MarkMissing,
    UpsertImage,
)
from tagify.concurrency.retry import retry_while_unavailable
from tagify.logs import fields
from tagify.metrics import Metrics
from tagify.model import Content

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _PendingWrite:
    command: ImageCommand
    live: bool
    durable: asyncio.Future[None]

    def resolve(self, error: Exception | None) -> None:
        if self.durable.done():
            return
        if error is None:
            self.durable.set_result(None)
        else:
            self.durable.set_exception(error)
            self.durable.exception()  # retrieved: a caller need not await the future


class BatchWriter:
    """Collects commands and writes them to the catalog in batches, first in, first out.

    A batch is written when it is full, when its first command has waited for `wait_s`, or when it holds a
    live command and the queue is empty. The queue holds four batches; then `enqueue` waits (back-pressure).
    """

    def __init__(
        self, catalog: Catalog, metrics: Metrics, *, batch_size: int, wait_s: float, leases: HeldLeases
    ) -> None:
        self._catalog = catalog
        self._size = batch_size
        self._wait_s = wait_s
        self._leases = leases
        self._queue: asyncio.Queue[_PendingWrite] = asyncio.Queue(batch_size * 4)
        self._written = metrics.counter(
            "tagify_ingest_writes_total", "Writes acknowledged by the catalog.", old="ingest_writes_total"
        )
        self._failed = metrics.counter(
            "tagify_ingest_write_failures_total",
            "Writes rejected by the catalog.",
            old="ingest_write_failures_total",
        )
        self._seconds = metrics.histogram(
            "tagify_ingest_batch_seconds", "Time to write one batch.", old="ingest_batch_seconds"
        )

    async def enqueue(self, command: ImageCommand, *, live: bool = False) -> asyncio.Future[None]:
        """Queue a command, waiting for capacity; a live one does not wait for a full batch.

        The future resolves when the write is durable, or holds the error that it was rejected with:
        CatalogError for a write that the catalog refuses for good. Of an UpsertImage that is refused so, the
        image was written as failed, with the reason, if the catalog accepts that.
        """
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._queue.put(_PendingWrite(command, live, durable))
        return durable

    async def write_all(self, commands: Sequence[ImageCommand]) -> list[ImageCommand]:
        """Return when all are durable; those that the catalog refused for good. Raises other errors."""
        pending = [await self.enqueue(command, live=True) for command in commands]
        errors = await asyncio.gather(*pending, return_exceptions=True)
        for error in errors:
            if error is not None and not isinstance(error, CatalogError):
                raise error
        return [command for command, error in zip(commands, errors, strict=True) if error]

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._write(await self._next_batch())

    async def _next_batch(self) -> list[_PendingWrite]:
        batch = [await self._queue.get()]
        try:
            async with asyncio.timeout(self._wait_s):
                while len(batch) < self._size and not (self._queue.empty() and _any_live(batch)):
                    batch.append(await self._queue.get())
        except TimeoutError:
            pass
        return batch

    async def _write(self, batch: Sequence[_PendingWrite]) -> None:
        commands = [write.command for write in batch]
        try:
            with self._seconds.time():
                marked = await retry_while_unavailable("catalog", partial(self._write_fenced, commands))
        except LeaseLost as lost:
            await self._write_without_library(batch, lost)
        except Exception as error:
            await self._bisect(batch, error)
        else:
            rejected = [write for write in batch if _has_content(write.command, marked)]
            self._written.add(len(batch) - len(rejected))
            _resolve(rejected, ContentMarkedForDeletion("the objects of the image are about to be removed"))
            _resolve(batch, None)

    async def _write_fenced(self, commands: Sequence[ImageCommand]) -> set[Content]:
        """Write under our leases; the contents whose objects are marked for deletion were not written."""
        fences = self._leases.fences({command.library_id for command in commands})
        return await self._catalog.images.write(commands, fences)

    async def _bisect(self, batch: Sequence[_PendingWrite], error: Exception) -> None:
        """Write the halves separately, so that one bad command does not reject the others."""
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._write(batch[:middle])
            await self._write(batch[middle:])
            return
        self._failed.add()
        reason = str(error) if isinstance(error, CatalogError) else f"a bug: {type(error).__name__}"
        logger.error("catalog rejected a write: %s", reason, extra=_command_fields(batch[0].command))
        await self._write_as_failed(batch[0].command, reason)
        _resolve(batch, CatalogError(reason))

    async def _write_as_failed(self, command: ImageCommand, reason: str) -> None:
        """Write the image of a refused command as failed: once with its content, by which its original can be
        downloaded, and if that is refused or being removed, once without. Then it is only logged.
        """
        if not isinstance(command, UpsertImage):
            return
        refused: Exception | None = None
        text = f"the image cannot be listed: {reason}"
        for content in dict.fromkeys((command.content, None)):
            failed = UpsertImage(command.library_id, command.file, content, error=text)
            try:
                if not await retry_while_unavailable("catalog", partial(self._write_fenced, [failed])):
                    return
            except Exception as error:
                refused = error
        logger.error(
            "catalog rejected a failed image: %s", type(refused).__name__, extra=_command_fields(command)
        )

    async def _write_without_library(self, batch: Sequence[_PendingWrite], lost: LeaseLost) -> None:
        """Drop the writes of a library whose lease another daemon holds: that one imports the files."""
        dropped = [write for write in batch if write.command.library_id == lost.library_id]
        logger.warning("writes dropped: %s", lost, extra=fields(writes=len(dropped)))
        _resolve(dropped, lost)
        if kept := [write for write in batch if write.command.library_id != lost.library_id]:
            await self._write(kept)


def _command_fields(command: ImageCommand) -> dict[str, object]:
    """What identifies a command in a log line: never its values, which may be megabytes."""
    path = command.path if isinstance(command, MarkMissing) else command.file.path
    names: dict[str, object] = {"kind": type(command).__name__, "library": command.library_id, "file": path}
    if isinstance(command, UpsertImage) and command.picture:
        names["keywords"] = len(command.picture.keywords)
    return fields(**names)


def _has_content(command: ImageCommand, contents: set[Content]) -> bool:
    return isinstance(command, UpsertImage) and command.content in contents


def _any_live(batch: Sequence[_PendingWrite]) -> bool:
    return any(write.live for write in batch)


def _resolve(batch: Sequence[_PendingWrite], error: Exception | None) -> None:
    for write in batch:
        write.resolve(error)
