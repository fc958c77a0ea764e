"""The cache as the edge uses it: it never fails, and never makes the event loop wait for a disk."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from edge.cache.entry import Damaged, Entry
from edge.cache.files import Files
from edge.cache.index import Ledger, NamedBodies, NamedFiles, is_ruined
from edge.cache.x_accel_files import Bodies
from tagify.concurrency.thread_pool import Threads
from tagify.errors import Busy
from tagify.metrics import Metrics

logger = logging.getLogger(__name__)

T = TypeVar("T")

READERS = 4
WRITES = 256
"""Values that may wait to be written; further ones are not kept."""

TRY_AGAIN_S = 30.0
"""Time between two attempts to use a folder that cannot be used."""


class DiskCache:
    """Values by string keys, bounded in size, kept over restarts.

    `handing_over`: another server may send bodies from their files.
    """

    def __init__(
        self, folder: Path, size_bytes: int, metrics: Metrics, *, handing_over: bool = False
    ) -> None:
        self._folder = folder
        self._size = size_bytes
        self._bodies = Bodies(folder) if handing_over else None
        self._files = self._bodies or Files(folder)
        self._readers = Threads("cache-read", READERS)
        # One thread has the books, so nothing here waits for a lock but behind another process.
        self._writer = Threads("cache-write", 1, WRITES)
        self._ledger: Ledger | None = None
        self._opened_at = -TRY_AGAIN_S
        self._answers = metrics.counter(
            "edge_cache_answers_total",
            "Questions to the disk cache, by outcome (hit, miss, damaged, error) and how it was read.",
            labelled=True,
        )
        self._hit = self._answers.bound(outcome="hit", read="at_once")
        self._handed = self._answers.bound(outcome="hit", read="elsewhere")
        self._writes = metrics.counter(
            "edge_cache_writes_total", "Values for the disk cache: kept, dropped or failed.", labelled=True
        )
        self._bytes = metrics.gauge("edge_cache_bytes", "Size of the disk cache, in bytes.")
        self._evicted = metrics.counter("edge_cache_evictions_total", "Values evicted from the disk cache.")
        self._evict_seconds = metrics.histogram("edge_cache_evict_seconds", "Time of one eviction.")

    async def open(self) -> None:
        """Take the folder into use with what it holds. One that cannot be written is read from."""
        await self._writing("open", self._books)

    def at_once(self, key: str) -> Entry | None:
        """The value where it takes no waiting; None says nothing: `get` knows.

        None, too, where another server may send the body.
        """
        try:
            entry = None if self._bodies else self._files.read(key, wait=False)
        except (Damaged, OSError):
            return None
        if entry is not None:
            self._hit(1)
        return entry

    async def get(self, key: str) -> Entry | None:
        """The value, or None; None also where the cache is at fault."""
        how = "at_once"
        try:
            try:
                entry = self._files.read(key, wait=False)
            except BlockingIOError:
                how = "thread"
                entry = await self._readers.run(self._files.read, key, wait=True)
        except (Damaged, OSError, Busy) as error:
            await self._fault(key, error)
            return None
        if entry is not None and how == "at_once":
            self._hit(1)
        else:
            self._answers.add(outcome="hit" if entry else "miss", read=how)
        return entry

    def place(self, key: str) -> tuple[str, int] | None:
        """The name in the folder, and the length in bytes, of a body that another server may send."""
        found = self._bodies.sound(key) if self._bodies else None
        if found is not None:
            self._handed(1)
        return found

    async def put(self, key: str, entry: Entry) -> None:
        """Keep a value. One that cannot be kept is made again another time."""
        try:
            kept = await self._writing("write", self._keep, key, entry)
        except Busy:
            self._writes.add(outcome="dropped")
        else:
            self._writes.add(outcome="kept" if kept else "failed")

    async def forget(self, keys: Sequence[str]) -> bool:
        """Keep the values of these keys no longer; whether that is so. Raises Busy."""
        return bool(await self._writing("forget", self._drop, keys))

    async def close(self) -> None:
        """Let the folder go, once what waits is written."""
        if self._ledger is not None:
            await self._writer.run(self._ledger.close)
        await self._writer.close()
        await self._readers.close()

    def _keep(self, key: str, entry: Entry) -> bool:
        ledger = self._books()
        if ledger is None:
            return False
        ledger.enter(key, entry)
        start = time.perf_counter()
        evicted = ledger.evict()
        if evicted:
            self._evict_seconds.observe(time.perf_counter() - start)
            self._evicted.add(evicted)
        self._bytes.set(ledger.size)
        return True

    def _drop(self, keys: Sequence[str]) -> bool:
        ledger = self._books()
        if ledger is None:
            return False
        for key in keys:
            if self._files.holds(key):
                ledger.forget(key)
        self._bytes.set(ledger.size)
        return True

    def _books(self) -> Ledger | None:
        """The ledger, opened where it is time to try."""
        if self._ledger is None and time.monotonic() - self._opened_at >= TRY_AGAIN_S:
            self._opened_at = time.monotonic()
            disk = NamedBodies if self._bodies else NamedFiles
            self._ledger = Ledger(self._folder, self._size, disk=disk)
            self._bytes.set(self._ledger.size)
        return self._ledger

    async def _writing(self, what: str, call: Callable[..., T], *args: object) -> T | None:
        """What a call in the writer's thread returns; None where it fails. Raises Busy."""
        try:
            return await self._writer.run(call, *args)
        except Busy:
            raise
        except Exception as error:
            # Whatever a disk, its file system or another process comes up with: there is no cache then.
            logger.warning("the disk cache in %s failed to %s: %s", self._folder, what, error)
            if is_ruined(error):
                self._ledger = None
            return None

    async def _fault(self, key: str, error: Exception) -> None:
        damaged = isinstance(error, Damaged)
        self._answers.add(outcome="damaged" if damaged else "error", read="none")
        logger.warning("the disk cache in %s failed to read: %s", self._folder, error)
        if damaged and self._ledger is not None:
            await self._writing("forget", self._ledger.forget, key)
