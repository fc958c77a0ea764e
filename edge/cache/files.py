"""The files of the cache, each under a name that follows from its key."""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from edge.cache.entry import BLOCK, Entry, block, entry_of

AT_ONCE = 512 << 10
"""The longest file that is read without waiting, in bytes: a third of a millisecond."""

_UNFINISHED = "unfinished"
_OLD_S = 3600.0
"""An unfinished file of this age, in seconds, is one whose writer has died."""


class Files:
    """Reads, writes and removes the files in a folder: a block and a body in each, for this user alone."""

    ENDING = ".val"
    FILE_MODE = 0o600
    FOLDER_MODE = 0o700

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def name(self, key: str) -> str:
        """Where the value of a key lies, relative to the folder."""
        digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        return f"{digest[:2]}/{digest[2:4]}/{digest[4:]}{self.ENDING}"

    def path(self, key: str) -> str:
        """Where the value of a key lies."""
        return f"{self._folder}/{self.name(key)}"

    def holds(self, key: str) -> bool:
        """Whether there is a value, sound or not."""
        return Path(self.path(key)).exists()

    def read(self, key: str, *, wait: bool) -> Entry | None:
        """The value, or None where there is none.

        Raises BlockingIOError where it must not wait and the kernel does not have the file in
        memory, or copying and checking it takes too long; Damaged; OSError.
        """
        try:
            before, body = self._content(self.path(key), BLOCK, wait=wait)
        except FileNotFoundError:
            return None
        return entry_of(key, before, body)

    def write(self, key: str, entry: Entry) -> int:
        """Put the value in its place, whole or not at all; its length in bytes. Raises OSError."""
        return self._put(self.path(key), block(key, entry), entry.body)

    def remove(self, key: str) -> None:
        """Remove a value; none there is no error. Raises OSError."""
        Path(self.path(key)).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what writers left that died while they wrote. Raises OSError."""
        with suppress(FileNotFoundError), os.scandir(f"{self._folder}/{_UNFINISHED}") as found:
            for item in found:
                with suppress(FileNotFoundError):
                    if time.time() - item.stat().st_mtime > _OLD_S:
                        Path(item.path).unlink()

    def _content(self, path: str, split: int, *, wait: bool) -> tuple[bytearray, bytearray]:
        """The first `split` bytes of a file and the others. Raises as `read`, and FileNotFoundError."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            if size > AT_ONCE and not wait:
                raise BlockingIOError
            before, body = bytearray(split), bytearray(max(0, size - split))
            _fill(fd, before, body, wait=wait)
        finally:
            os.close(fd)
        return before, body

    def _put(self, path: str, *parts: bytes | bytearray) -> int:
        """Write a file beside its place and move it there; its length in bytes. Raises OSError."""
        unfinished = f"{self._folder}/{_UNFINISHED}/{os.urandom(12).hex()}"
        Path(unfinished).parent.mkdir(mode=0o700, exist_ok=True)
        try:
            with open(unfinished, "xb") as file:  # noqa: PTH123 - in the hot path, and it is a string
                os.fchmod(file.fileno(), self.FILE_MODE)
                size = sum(file.write(part) for part in parts)
            try:
                os.replace(unfinished, path)  # noqa: PTH105
            except FileNotFoundError:
                self._make(Path(path).parent)
                os.replace(unfinished, path)  # noqa: PTH105
        except BaseException:
            with suppress(OSError):
                Path(unfinished).unlink()
            raise
        return size

    def _make(self, folder: Path) -> None:
        """Make a folder and those above it, with their mode whatever the umask of this process is."""
        if not folder.exists():
            self._make(folder.parent)
            folder.mkdir(exist_ok=True, mode=self.FOLDER_MODE)
            folder.chmod(self.FOLDER_MODE)


def _fill(fd: int, before: bytearray, body: bytearray, *, wait: bool) -> None:
    """Read both, or fail with BlockingIOError where that would take the disk."""
    if not wait:
        try:
            got = os.preadv(fd, [before, body], 0, os.RWF_NOWAIT)
        except BlockingIOError:
            raise
        except OSError as error:
            # Not every file system can tell; on those a thread reads.
            raise BlockingIOError from error
        if got < len(before) + len(body):
            raise BlockingIOError
        return
    with open(fd, "rb", buffering=0, closefd=False) as file:
        for part in (memoryview(before), memoryview(body)):
            done = 0
            while done < len(part) and (got := file.readinto(part[done:])):
                done += got
