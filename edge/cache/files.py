"""The files of the cache: paths derived from keys, atomic writes, reads that never wait for the disk."""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from edge.cache.entry import HEADER_BYTES, CacheEntry, decode_entry, encode_header

NOWAIT_MAX_BYTES = 512 << 10
"""Longest file read on the event loop, in bytes: copying and checking it takes a third of a millisecond."""

_UNFINISHED = "unfinished"
_UNFINISHED_MAX_AGE_S = 3600.0
"""Age from which an unfinished file is removed, in seconds: its writer was killed."""


class CacheFiles:
    """Reads, writes and removes files: header and body in one file, readable by this user only."""

    SUFFIX = ".val"
    FILE_MODE = 0o600
    DIRECTORY_MODE = 0o700

    def __init__(self, root: Path) -> None:
        self._root = str(root)

    def relative_path(self, key: str) -> str:
        """Path of an entry's file, relative to the cache directory."""
        digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        return f"{digest[:2]}/{digest[2:4]}/{digest[4:]}{self.SUFFIX}"

    def absolute_path(self, key: str) -> str:
        """Absolute path of an entry's file."""
        return f"{self._root}/{self.relative_path(key)}"

    def exists(self, key: str) -> bool:
        """Whether the entry has a file, intact or corrupt."""
        return Path(self.absolute_path(key)).exists()

    def read(self, key: str, *, wait: bool) -> CacheEntry | None:
        """The entry, or None where it has no file. Raises CorruptEntry, OSError.

        With `wait` false raises BlockingIOError where the file is not in the page cache, or is longer
        than NOWAIT_MAX_BYTES.
        """
        try:
            header, body = self._read_split(self.absolute_path(key), HEADER_BYTES, wait=wait)
        except FileNotFoundError:
            return None
        return decode_entry(key, header, body)

    def write(self, key: str, entry: CacheEntry) -> int:
        """Write the entry's file atomically; returns its length in bytes. Raises OSError."""
        return self._write_atomically(self.absolute_path(key), encode_header(key, entry), entry.body)

    def remove(self, key: str) -> None:
        """Remove an entry's file, if it exists. Raises OSError."""
        Path(self.absolute_path(key)).unlink(missing_ok=True)

    def remove_unfinished(self) -> None:
        """Remove the temporary files of writers that were killed. Raises OSError."""
        with suppress(FileNotFoundError), os.scandir(f"{self._root}/{_UNFINISHED}") as entries:
            for item in entries:
                with suppress(FileNotFoundError):
                    if time.time() - item.stat().st_mtime > _UNFINISHED_MAX_AGE_S:
                        Path(item.path).unlink()

    def _read_split(self, path: str, split: int, *, wait: bool) -> tuple[bytearray, bytearray]:
        """The first `split` bytes of a file and the rest. Raises BlockingIOError, OSError."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            if size > NOWAIT_MAX_BYTES and not wait:
                raise BlockingIOError
            head, rest = bytearray(split), bytearray(max(0, size - split))
            _read_into(fd, head, rest, wait=wait)
        finally:
            os.close(fd)
        return head, rest

    def _write_atomically(self, path: str, *parts: bytes | bytearray) -> int:
        """Write a temporary file and rename it to `path`; its length in bytes. Raises OSError."""
        unfinished = f"{self._root}/{_UNFINISHED}/{os.urandom(12).hex()}"
        Path(unfinished).parent.mkdir(mode=0o700, exist_ok=True)
        try:
            with open(unfinished, "xb") as file:  # noqa: PTH123 - in the hot path; the path is a string
                os.fchmod(file.fileno(), self.FILE_MODE)
                size = sum(file.write(part) for part in parts)
            try:
                os.replace(unfinished, path)  # noqa: PTH105
            except FileNotFoundError:
                self._make_directory(Path(path).parent)
                os.replace(unfinished, path)  # noqa: PTH105
        except BaseException:
            with suppress(OSError):
                Path(unfinished).unlink()
            raise
        return size

    def _make_directory(self, directory: Path) -> None:
        """Create a directory and its parents with DIRECTORY_MODE, whatever the umask."""
        if not directory.exists():
            self._make_directory(directory.parent)
            directory.mkdir(exist_ok=True, mode=self.DIRECTORY_MODE)
            directory.chmod(self.DIRECTORY_MODE)


def _read_into(fd: int, head: bytearray, rest: bytearray, *, wait: bool) -> None:
    """Fill both buffers. Without `wait` raises BlockingIOError where that needs the disk."""
    if not wait:
        try:
            count = os.preadv(fd, [head, rest], 0, os.RWF_NOWAIT)
        except BlockingIOError:
            raise
        except OSError as error:
            # File systems without RWF_NOWAIT: a thread reads.
            raise BlockingIOError from error
        if count < len(head) + len(rest):
            raise BlockingIOError
        return
    with open(fd, "rb", buffering=0, closefd=False) as file:
        for part in (memoryview(head), memoryview(rest)):
            done = 0
            while done < len(part) and (count := file.readinto(part[done:])):
                done += count
