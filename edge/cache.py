"""The disk cache of variants. The only file that knows `diskcache`.

It holds bytes under string keys and nothing else: diskcache would pickle other values, and
whoever can write to the folder could have code run. A fault of it costs a miss, never an error.
"""

import logging
import sqlite3
from pathlib import Path
from typing import Any

import diskcache

from tagify.metrics import Metrics
from tagify.threads import Threads

logger = logging.getLogger(__name__)

THREADS = 4
QUEUE = 1000
LOCK_WAIT_S = 5.0
"""Longest wait for another process that writes to the same folder."""


class BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """A Disk that neither writes nor reads a pickle."""

    def put(self, key: Any) -> Any:
        if not isinstance(key, str):
            raise TypeError("keys are strings")
        return super().put(key)

    def get(self, key: Any, raw: bool) -> Any:
        if not raw:
            raise TypeError("a key that is no plain string")
        return super().get(key, raw)

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> Any:
        if not isinstance(value, bytes):
            raise TypeError("values are bytes")
        return super().store(value, read, key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode not in (diskcache.core.MODE_RAW, diskcache.core.MODE_BINARY):
            raise TypeError("a value that is no plain bytes")
        return super().fetch(mode, filename, value, read)


_FAULTS = (OSError, sqlite3.Error, diskcache.Timeout, TypeError, ValueError, EOFError)


class DiskCache:
    """Bytes by string keys, bounded in size, kept over restarts; least recently stored goes first."""

    def __init__(self, folder: Path, size_bytes: int, metrics: Metrics) -> None:
        self._folder = folder
        self._size = size_bytes
        self._threads = Threads("cache", THREADS, QUEUE)
        self._cache: diskcache.Cache | None = None
        self._answers = metrics.counter(
            "edge_cache_answers_total",
            "Questions to the disk cache, by outcome.",
            labelled=True,
        )

    async def open(self) -> None:
        """Take the folder into use with what it holds. One that cannot be used is done without."""
        try:
            await self._threads.run(self._open)
        except _FAULTS as error:
            logger.warning("no disk cache in %s: %s", self._folder, error)

    async def get(self, key: str) -> bytes | None:
        """The value, or None; None also where the cache is at fault."""
        if self._cache is None:
            return None
        try:
            value: bytes | None = await self._threads.run(self._cache.get, key)
        except Exception as error:
            self._fault("read", error)
            return None
        self._answers.add(outcome="miss" if value is None else "hit")
        return value

    async def put(self, key: str, value: bytes) -> None:
        """Keep a value. One that cannot be kept is made again another time."""
        if self._cache is None:
            return
        try:
            await self._threads.run(self._cache.set, key, value)
        except Exception as error:
            self._fault("write", error)

    async def close(self) -> None:
        """Let the folder go."""
        if self._cache is not None:
            await self._threads.run(self._cache.close)
        await self._threads.close()

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder.chmod(0o700)
        self._cache = diskcache.Cache(
            str(self._folder), timeout=LOCK_WAIT_S, disk=BytesDisk, size_limit=self._size
        )

    def _fault(self, what: str, error: Exception) -> None:
        self._answers.add(outcome="error")
        logger.warning("the disk cache failed to %s: %s", what, error)
