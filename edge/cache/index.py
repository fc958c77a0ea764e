"""What lies in the cache, how large it is, and what goes first: kept by diskcache, shared by processes."""

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
"""Longest wait for another process that writes to the same folder."""

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

CACHE_ERRORS = (OSError, sqlite3.Error, diskcache.Timeout)
"""What a disk, or another process on it, may bring about."""


class KeyedFileDisk(DirectoryDisk):
    """A Disk whose files are named by their keys. It neither writes nor reads a pickle, nor any value:
    whoever can write to the folder could have code run by one."""

    files: type[CacheFiles] = CacheFiles

    def put(self, key: Any) -> Any:
        if not isinstance(key, str):
            raise TypeError("keys are strings")
        return key, True

    def get(self, key: Any, raw: bool) -> Any:
        if not raw or not isinstance(key, str):
            raise TypeError("a key that is no plain string")
        return key

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> Any:  # noqa: ARG002
        if not isinstance(value, CacheEntry):
            raise TypeError("values are entries")
        files = self.files(self.directory)
        return files.write(key, value), BINARY, files.relative_path(key), None

    def fetch(self, *_: Any) -> Any:
        raise TypeError("values are read from their files")


class XAccelDisk(KeyedFileDisk):
    """The same with bodies in files of their own."""

    files = XAccelFiles

    def remove(self, file_path: Any) -> None:
        for path in XAccelFiles.paths_of_value(file_path):
            super().remove(path)


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache folder holds: values, and bytes beside the most it may take."""

    entries: int
    size_bytes: int
    limit_bytes: int


class CacheIndex:
    """The books of one folder; least recently stored goes first. All calls wait for the disk."""

    def __init__(self, root: Path, size_bytes: int, *, disk: type[KeyedFileDisk] = KeyedFileDisk) -> None:
        """Open them, with what there is. Books that are ruined are begun anew, without their files.

        `disk` says how values lie in files; those that lie otherwise stay until they are evicted.
        """
        root.mkdir(parents=True, exist_ok=True, mode=disk.files.DIRECTORY_MODE)
        root.chmod(disk.files.DIRECTORY_MODE)
        self._files = disk.files(root)
        try:
            self._cache = _open_cache(root, size_bytes, disk)
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                raise
            _empty(root)
            self._cache = _open_cache(root, size_bytes, disk)
        self._files.remove_unfinished()

    def add(self, key: str, entry: CacheEntry) -> None:
        """Write the value's file and book it. Raises one of FAULTS, and nothing is left then."""
        # One transaction: setting what another process has just set would remove the file of both.
        with self._cache.transact():
            if key in self._cache:
                if self._files.exists(key):
                    return  # another process was first; the bytes are the same
                self._cache.delete(key)
            try:
                self._cache.set(key, entry)
            except BaseException:
                self._files.remove(key)
                raise

    def remove(self, key: str) -> None:
        """Remove a value, booked or not. Raises one of FAULTS."""
        self._cache.delete(key)
        self._files.remove(key)

    def evict(self) -> int:
        """Remove values until the size is within its bound; how many. Raises one of FAULTS."""
        return int(self._cache.cull()) if self.size_bytes > self._cache.size_limit else 0

    @property
    def size_bytes(self) -> int:
        """Bytes of all values and of the books."""
        return int(self._cache.volume())

    def stats(self) -> CacheStats:
        """What is held."""
        return CacheStats(len(self._cache), self.size_bytes, int(self._cache.size_limit))

    def clear(self) -> int:
        """Remove all values; how many."""
        return int(self._cache.clear())

    def close(self) -> None:
        """Let the folder go."""
        self._cache.close()


def is_corrupt(error: Exception) -> bool:
    """Whether it says that the books themselves are damaged."""
    return isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) in _CORRUPT


def _open_cache(root: Path, size_bytes: int, disk: type[KeyedFileDisk]) -> diskcache.Cache:
    return diskcache.Cache(
        str(root),
        timeout=LOCK_TIMEOUT_S,
        disk=disk,
        size_limit=size_bytes,
        eviction_policy="least-recently-stored",
        cull_limit=0,  # eviction is called for, timed and counted
        sqlite_cache_size=1024,
        sqlite_mmap_size=0,
    )


def _empty(root: Path) -> None:
    for path in root.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
