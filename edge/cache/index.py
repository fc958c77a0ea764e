"""What lies in the cache, how large it is, and what goes first: kept by diskcache, shared by processes."""

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import MODE_BINARY

from edge.cache.entry import Entry
from edge.cache.files import Files
from edge.cache.x_accel_files import Bodies

LOCK_WAIT_S = 5.0
"""Longest wait for another process that writes to the same folder."""

_RUINED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

FAULTS = (OSError, sqlite3.Error, diskcache.Timeout)
"""What a disk, or another process on it, may bring about."""


class NamedFiles(diskcache.Disk):  # type: ignore[misc]
    """A Disk whose files are named by their keys. It neither writes nor reads a pickle, nor any value:
    whoever can write to the folder could have code run by one."""

    files: type[Files] = Files

    def put(self, key: Any) -> Any:
        if not isinstance(key, str):
            raise TypeError("keys are strings")
        return key, True

    def get(self, key: Any, raw: bool) -> Any:
        if not raw or not isinstance(key, str):
            raise TypeError("a key that is no plain string")
        return key

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> Any:  # noqa: ARG002
        if not isinstance(value, Entry):
            raise TypeError("values are entries")
        files = self.files(Path(self._directory))
        return files.write(key, value), MODE_BINARY, files.name(key), None

    def fetch(self, *_: Any) -> Any:
        raise TypeError("values are read from their files")


class NamedBodies(NamedFiles):
    """The same with bodies in files of their own."""

    files = Bodies

    def remove(self, file_path: Any) -> None:
        for name in Bodies.beside(file_path):
            super().remove(name)


@dataclass(frozen=True, slots=True)
class Stats:
    """What a cache folder holds: values, and bytes beside the most it may take."""

    entries: int
    size: int
    limit: int


class Ledger:
    """The books of one folder; least recently stored goes first. All calls wait for the disk."""

    def __init__(self, folder: Path, size_bytes: int, *, disk: type[NamedFiles] = NamedFiles) -> None:
        """Open them, with what there is. Books that are ruined are begun anew, without their files.

        `disk` says how values lie in files; those that lie otherwise stay until they are evicted.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=disk.files.FOLDER_MODE)
        folder.chmod(disk.files.FOLDER_MODE)
        self._files = disk.files(folder)
        try:
            self._cache = _opened(folder, size_bytes, disk)
        except sqlite3.DatabaseError as error:
            if not is_ruined(error):
                raise
            _emptied(folder)
            self._cache = _opened(folder, size_bytes, disk)
        self._files.sweep()

    def enter(self, key: str, entry: Entry) -> None:
        """Write the value's file and book it. Raises one of FAULTS, and nothing is left then."""
        # One transaction: setting what another process has just set would remove the file of both.
        with self._cache.transact():
            if key in self._cache:
                if self._files.holds(key):
                    return  # another process was first; the bytes are the same
                self._cache.delete(key)
            try:
                self._cache.set(key, entry)
            except BaseException:
                self._files.remove(key)
                raise

    def forget(self, key: str) -> None:
        """Remove a value, booked or not. Raises one of FAULTS."""
        self._cache.delete(key)
        self._files.remove(key)

    def evict(self) -> int:
        """Remove values until the size is within its bound; how many. Raises one of FAULTS."""
        return int(self._cache.cull()) if self.size > self._cache.size_limit else 0

    @property
    def size(self) -> int:
        """Bytes of all values and of the books."""
        return int(self._cache.volume())

    def stats(self) -> Stats:
        """What is held."""
        return Stats(len(self._cache), self.size, int(self._cache.size_limit))

    def clear(self) -> int:
        """Remove all values; how many."""
        return int(self._cache.clear())

    def close(self) -> None:
        """Let the folder go."""
        self._cache.close()


def is_ruined(error: Exception) -> bool:
    """Whether it says that the books themselves are damaged."""
    return isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) in _RUINED


def _opened(folder: Path, size_bytes: int, disk: type[NamedFiles]) -> diskcache.Cache:
    return diskcache.Cache(
        str(folder),
        timeout=LOCK_WAIT_S,
        disk=disk,
        size_limit=size_bytes,
        eviction_policy="least-recently-stored",
        cull_limit=0,  # eviction is called for, timed and counted
        sqlite_cache_size=1024,
        sqlite_mmap_size=0,
    )


def _emptied(folder: Path) -> None:
    for item in folder.iterdir():
        if item.is_dir():
            shutil.rmtree(item, ignore_errors=True)
        else:
            item.unlink(missing_ok=True)
