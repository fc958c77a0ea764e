"""The index of the disk cache: keys, sizes and FIFO eviction, in SQLite by diskcache, shared by processes."""

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diskcache

from edge.cache._compat import BINARY, DirectoryDisk
from edge.cache.entry import CacheEntry
from edge.cache.files import CacheFiles
from edge.cache.x_accel_files import XAccelFiles

LOCK_TIMEOUT_S = 5.0
"""Longest wait for another process's write transaction, in seconds."""

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

CACHE_ERRORS = (OSError, sqlite3.Error, diskcache.Timeout)
"""Errors that a disk, or another process using the cache, can cause."""


class KeyedFileDisk(DirectoryDisk):
    """A Disk that derives file paths from keys, and never reads or writes a pickle.

    Unpickling would let anyone with write access to the directory execute code.
    """

    files_class: type[CacheFiles] = CacheFiles

    def put(self, key: Any) -> Any:
        if not isinstance(key, str):
            raise TypeError("keys are strings")
        return key, True

    def get(self, key: Any, raw: bool) -> Any:
        if not raw or not isinstance(key, str):
            raise TypeError("keys are plain strings")
        return key

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> Any:  # noqa: ARG002
        if not isinstance(value, CacheEntry):
            raise TypeError("values are entries")
        files = self.files_class(self.directory)
        return files.write(key, value), BINARY, files.relative_path(key), None

    def fetch(self, *_: Any) -> Any:
        raise TypeError("values are read from their files")


class XAccelDisk(KeyedFileDisk):
    """A KeyedFileDisk with header and body in separate files."""

    files_class = XAccelFiles

    def remove(self, file_path: Any) -> None:
        for path in XAccelFiles.paths_of_value(file_path):
            super().remove(path)


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Number of entries, size and size limit of a disk cache."""

    entries: int
    size_bytes: int
    limit_bytes: int


class CacheIndex:
    """SQLite index of one cache directory; evicts the least recently stored. All methods block."""

    def __init__(self, root: Path, size_bytes: int, *, disk: type[KeyedFileDisk] = KeyedFileDisk) -> None:
        """Open the index. A corrupt one is deleted, with all files, and created again.

        `disk` is the file layout; files of the other layout stay until they are evicted.
        """
        root.mkdir(parents=True, exist_ok=True, mode=disk.files_class.DIRECTORY_MODE)
        root.chmod(disk.files_class.DIRECTORY_MODE)
        self._files = disk.files_class(root)
        try:
            self._cache = _open_cache(root, size_bytes, disk)
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                raise
            _empty(root)
            self._cache = _open_cache(root, size_bytes, disk)
        self._files.remove_unfinished()

    def add(self, key: str, entry: CacheEntry) -> None:
        """Write the entry's file and index it. Raises one of CACHE_ERRORS, without leaving a file."""
        # In one transaction: setting a key that another process has just set removes the file of both.
        with self._cache.transact():
            if key in self._cache:
                if self._files.exists(key):
                    return  # another process has stored the same bytes
                self._cache.delete(key)
            try:
                self._cache.set(key, entry)
            except BaseException:
                self._files.remove(key)
                raise

    def remove(self, key: str) -> None:
        """Remove an entry and its file, also a file that is not in the index. Raises one of CACHE_ERRORS."""
        self._cache.delete(key)
        self._files.remove(key)

    def evict(self) -> int:
        """Evict entries until the size is within its limit; their number. Raises one of CACHE_ERRORS."""
        return int(self._cache.cull()) if self.size_bytes > self._cache.size_limit else 0

    @property
    def size_bytes(self) -> int:
        """Size of all files and of the database, in bytes."""
        return int(self._cache.volume())

    def stats(self) -> CacheStats:
        """Number of entries and size."""
        return CacheStats(len(self._cache), self.size_bytes, int(self._cache.size_limit))

    def clear(self) -> int:
        """Remove all entries; their number."""
        return int(self._cache.clear())

    def close(self) -> None:
        """Close the database."""
        self._cache.close()


def is_corrupt(error: Exception) -> bool:
    """Whether the error means that the database is corrupt."""
    return isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) in _CORRUPT


def _open_cache(root: Path, size_bytes: int, disk: type[KeyedFileDisk]) -> diskcache.Cache:
    return diskcache.Cache(
        str(root),
        timeout=LOCK_TIMEOUT_S,
        disk=disk,
        size_limit=size_bytes,
        eviction_policy="least-recently-stored",
        cull_limit=0,  # evict() is called explicitly, timed and counted
        sqlite_cache_size=1024,
        sqlite_mmap_size=0,
    )


def _empty(root: Path) -> None:
    for path in root.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
