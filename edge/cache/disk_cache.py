"""The disk cache: never raises an error of the disk, and never blocks the event loop on the disk."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from edge.cache.entry import CacheEntry, CorruptEntry
from edge.cache.files import CacheFiles
from edge.cache.index import CacheIndex, KeyedFileDisk, XAccelDisk, is_corrupt
from edge.cache.x_accel_files import XAccelFiles
from tagify.concurrency.thread_pool import ThreadPool
from tagify.errors import Busy
from tagify.metrics import Metrics

logger = logging.getLogger(__name__)

T = TypeVar("T")

READERS = 4
WRITE_QUEUE = 256
"""Entries that may wait to be written; further ones are dropped (load shedding)."""

REOPEN_S = 30.0
"""Time between two attempts to open an index that cannot be opened, in seconds."""


class DiskCache:
    """A persistent cache with string keys, bounded in size.

    `x_accel`: NGINX may send bodies from their files (X-Accel-Redirect).
    """

    def __init__(self, root: Path, size_bytes: int, metrics: Metrics, *, x_accel: bool = False) -> None:
        self._root = root
        self._size_bytes = size_bytes
        self._x_accel_files = XAccelFiles(root) if x_accel else None
        self._files = self._x_accel_files or CacheFiles(root)
        self._readers = ThreadPool("cache-read", READERS)
        # A single thread uses the index, so only another process can hold its lock.
        self._writer = ThreadPool("cache-write", 1, WRITE_QUEUE)
        self._index: CacheIndex | None = None
        self._opened_at = -REOPEN_S
        self._reads = metrics.counter(
            "tagify_edge_cache_answers_total",
            "Lookups in the disk cache, by outcome (hit, miss, damaged, error) and how the file was read.",
            labelled=True,
            old="edge_cache_answers_total",
        )
        self._hit = self._reads.bind(outcome="hit", read="at_once")
        self._x_accel_hit = self._reads.bind(outcome="hit", read="elsewhere")
        self._writes = metrics.counter(
            "tagify_edge_cache_writes_total",
            "Writes to the disk cache, by outcome: kept, dropped or failed.",
            labelled=True,
            old="edge_cache_writes_total",
        )
        self._bytes = metrics.gauge(
            "tagify_edge_cache_bytes", "Size of the disk cache, in bytes.", old="edge_cache_bytes"
        )
        self._evicted = metrics.counter(
            "tagify_edge_cache_evictions_total",
            "Values evicted from the disk cache.",
            old="edge_cache_evictions_total",
        )
        self._evict_seconds = metrics.histogram(
            "tagify_edge_cache_evict_seconds", "Time of one eviction.", old="edge_cache_evict_seconds"
        )

    async def open(self) -> None:
        """Open the index. Without write permission the cache is read-only."""
        await self._run_in_writer("open", self._open_index)

    def get_nowait(self, key: str) -> CacheEntry | None:
        """The entry if its file is in the page cache. None is no miss: call `get`.

        Always None with `x_accel`: NGINX sends the body.
        """
        try:
            entry = None if self._x_accel_files else self._files.read(key, wait=False)
        except (CorruptEntry, OSError):
            return None
        if entry is not None:
            self._hit(1)
        return entry

    async def get(self, key: str) -> CacheEntry | None:
        """The entry; None on a miss, and on an error of the cache."""
        read_by = "at_once"
        try:
            try:
                entry = self._files.read(key, wait=False)
            except BlockingIOError:
                read_by = "thread"
                entry = await self._readers.run(self._files.read, key, wait=True)
        except (CorruptEntry, OSError, Busy) as error:
            await self._record_read_error(key, error)
            return None
        if entry is not None and read_by == "at_once":
            self._hit(1)
        else:
            self._reads.add(outcome="hit" if entry else "miss", read=read_by)
        return entry

    def x_accel_file(self, key: str) -> tuple[str, int] | None:
        """Relative path and length in bytes of a verified body that NGINX may send; else None."""
        file = self._x_accel_files.verified_file(key) if self._x_accel_files else None
        if file is not None:
            self._x_accel_hit(1)
        return file

    async def store(self, key: str, entry: CacheEntry) -> None:
        """Write an entry, and evict others where the cache is full. Failures are only counted."""
        try:
            stored = await self._run_in_writer("write", self._add, key, entry)
        except Busy:
            self._writes.add(outcome="dropped")
        else:
            self._writes.add(outcome="kept" if stored else "failed")

    async def remove(self, keys: Sequence[str]) -> bool:
        """Remove entries; False where the index cannot be written. Raises Busy."""
        return bool(await self._run_in_writer("remove", self._remove, keys))

    async def close(self) -> None:
        """Finish pending writes, then close the index and the threads."""
        if self._index is not None:
            await self._writer.run(self._index.close)
        await self._writer.close()
        await self._readers.close()

    def _add(self, key: str, entry: CacheEntry) -> bool:
        index = self._open_index()
        if index is None:
            return False
        index.add(key, entry)
        start = time.perf_counter()
        evicted = index.evict()
        if evicted:
            self._evict_seconds.observe(time.perf_counter() - start)
            self._evicted.add(evicted)
        self._bytes.set(index.size_bytes)
        return True

    def _remove(self, keys: Sequence[str]) -> bool:
        index = self._open_index()
        if index is None:
            return False
        for key in keys:
            if self._files.exists(key):
                index.remove(key)
        self._bytes.set(index.size_bytes)
        return True

    def _open_index(self) -> CacheIndex | None:
        """The index; opened if it is closed and REOPEN_S has passed since the last attempt."""
        if self._index is None and time.monotonic() - self._opened_at >= REOPEN_S:
            self._opened_at = time.monotonic()
            disk = XAccelDisk if self._x_accel_files else KeyedFileDisk
            self._index = CacheIndex(self._root, self._size_bytes, disk=disk)
            self._bytes.set(self._index.size_bytes)
        return self._index

    async def _run_in_writer(self, operation: str, call: Callable[..., T], *args: object) -> T | None:
        """The result of a call in the writer thread; None where it fails. Raises Busy."""
        try:
            return await self._writer.run(call, *args)
        except Busy:
            raise
        except Exception as error:
            # Disks, file systems and other processes cause errors of many types: all count as misses.
            logger.warning("the disk cache in %s failed to %s: %s", self._root, operation, error)
            if is_corrupt(error):
                self._index = None
            return None

    async def _record_read_error(self, key: str, error: Exception) -> None:
        corrupt = isinstance(error, CorruptEntry)
        self._reads.add(outcome="damaged" if corrupt else "error", read="none")
        logger.warning("the disk cache in %s failed to read: %s", self._root, error)
        if corrupt and self._index is not None:
            await self._run_in_writer("remove", self._index.remove, key)
