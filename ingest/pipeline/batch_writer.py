"""Batches to the catalog: many finished files, one transaction."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from ingest.lease import HeldLeases
from tagify.catalog import Catalog, ContentMarkedForDeletion, ImageCommand, LeaseLost, UpsertImage
from tagify.concurrency.retry import retry_while_unavailable
from tagify.logs import fields
from tagify.metrics import Metrics
from tagify.model import Content

logger = logging.getLogger(__name__)

_Entry = tuple[ImageCommand, bool, asyncio.Future[None]]


class BatchWriter:
    """Collects writes and hands them to the catalog in batches, in the order in which they came.

    A batch goes when it is full, when its first write has waited for `wait_s`, or when it holds a
    live write and no other waits. The queue
    before it holds four batches; whoever has more waits.
    """

    def __init__(
        self, catalog: Catalog, metrics: Metrics, *, batch_size: int, wait_s: float, leases: HeldLeases
    ) -> None:
        self._catalog = catalog
        self._size = batch_size
        self._wait_s = wait_s
        self._leases = leases
        self._queue: asyncio.Queue[_Entry] = asyncio.Queue(batch_size * 4)
        self._written = metrics.counter("ingest_writes_total", "Writes that the catalog acknowledged.")
        self._failed = metrics.counter("ingest_write_failures_total", "Writes that the catalog refused.")
        self._seconds = metrics.histogram("ingest_batch_seconds", "Time to write one batch.")

    async def enqueue(self, write: ImageCommand, *, live: bool = False) -> asyncio.Future[None]:
        """Take a write; a live one waits for no others.

        The future is done when it is durable, or holds the error it was refused with.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._queue.put((write, live, done))
        return done

    async def write_all(self, writes: Sequence[ImageCommand]) -> None:
        """Return when all are durable. Raises what one of them was refused with."""
        await asyncio.gather(*[await self.enqueue(write, live=True) for write in writes])

    async def run(self) -> None:
        """ImageCommand until cancelled."""
        while True:
            await self._write(await self._batch())

    async def _batch(self) -> list[_Entry]:
        batch = [await self._queue.get()]
        try:
            async with asyncio.timeout(self._wait_s):
                while len(batch) < self._size and not (self._queue.empty() and _any_live(batch)):
                    batch.append(await self._queue.get())
        except TimeoutError:
            pass
        return batch

    async def _write(self, batch: Sequence[_Entry]) -> None:
        writes = [write for write, _, _ in batch]
        try:
            with self._seconds.time():
                refused = await retry_while_unavailable("catalog", partial(self._hand_over, writes))
        except LeaseLost as lost:
            await self._write_rest(batch, lost)
        except Exception as error:
            await self._refused(batch, error)
        else:
            condemned = [entry for entry in batch if _is_of(entry[0], refused)]
            self._written.add(len(batch) - len(condemned))
            _tell(condemned, ContentMarkedForDeletion("its objects are about to be removed"))
            _tell(batch, None)

    async def _refused(self, batch: Sequence[_Entry], error: Exception) -> None:
        """One of a batch is the cause, and costs itself: the halves are written by themselves."""
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._write(batch[:middle])
            await self._write(batch[middle:])
            return
        self._failed.add()
        logger.error("the catalog refused a write", exc_info=error, extra=fields(write=repr(batch[0][0])))
        _tell(batch, error)

    async def _hand_over(self, writes: Sequence[ImageCommand]) -> set[Content]:
        fences = self._leases.fences({write.library_id for write in writes})
        return await self._catalog.images.write(writes, fences)

    async def _write_rest(self, batch: Sequence[_Entry], lost: LeaseLost) -> None:
        """What is of a library that another daemon keeps now is dropped: that one sees it too."""
        ours = [entry for entry in batch if entry[0].library_id != lost.library_id]
        logger.warning("not written: %s", lost, extra=fields(writes=len(batch) - len(ours)))
        _tell([entry for entry in batch if entry[0].library_id == lost.library_id], lost)
        if ours:
            await self._write(ours)


def _is_of(write: ImageCommand, contents: set[Content]) -> bool:
    return isinstance(write, UpsertImage) and write.content in contents


def _any_live(batch: Sequence[_Entry]) -> bool:
    return any(live for _, live, _ in batch)


def _tell(batch: Sequence[_Entry], error: Exception | None) -> None:
    for _, _, done in batch:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
            done.exception()  # retrieved: a caller that did not wait is no fault
