"""The files of a cache that another server may send from: each body in a file of its own."""

import os
from pathlib import Path

from edge.cache.entry import BLOCK, Entry, block, entry_of
from edge.cache.files import Files

SOUND = 50_000
"""Bodies that are known to be sound, at most; all are read once more then."""

_BLOCKS = ".block"

_Identity = tuple[int, int, int]
"""Of a file: its inode, the time of its last change in nanoseconds, its length in bytes."""


class Bodies(Files):
    """The block of each value lies beside its body. The group may read a body whose name it knows.

    A body may be named to another server once its bytes were read here and found right, for as long
    as its file is the same.
    """

    ENDING = ".body"
    FILE_MODE = 0o640
    FOLDER_MODE = 0o710

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Threads write to it too: nothing but single steps of a dict.
        self._sound: dict[str, _Identity] = {}

    def sound(self, key: str) -> tuple[str, int] | None:
        """Name and length in bytes of a body that may be handed over; None of one to be read first."""
        known = self._sound.get(key)
        if known is None or self._identity(key) != known:
            return None
        return self.name(key), known[2]

    def holds(self, key: str) -> bool:
        return super().holds(key) and Path(self.path(key) + _BLOCKS).exists()

    def read(self, key: str, *, wait: bool) -> Entry | None:
        # Looked at before it is read: what takes its place meanwhile has another identity.
        found = self._identity(key)
        try:
            before, _ = self._content(self.path(key) + _BLOCKS, BLOCK, wait=wait)
            _, body = self._content(self.path(key), 0, wait=wait)
        except FileNotFoundError:
            return None
        entry = entry_of(key, before, body)
        if found is not None:
            if len(self._sound) >= SOUND:
                self._sound.clear()
            self._sound[key] = found
        return entry

    def write(self, key: str, entry: Entry) -> int:
        before = block(key, entry)
        return self._put(self.path(key), entry.body) + self._put(self.path(key) + _BLOCKS, before)

    def remove(self, key: str) -> None:
        for name in self.beside(self.path(key)):
            Path(name).unlink(missing_ok=True)

    @staticmethod
    def beside(name: str) -> tuple[str, str]:
        """The files of the value whose body this is, the body last."""
        return name + _BLOCKS, name

    def _identity(self, key: str) -> _Identity | None:
        try:
            found = os.stat(self.path(key))  # noqa: PTH116 - in the hot path, and it is a string
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
