"""The files of a cache that another server may send from: each body in a file of its own."""

import os
from pathlib import Path

from edge.cache.entry import HEADER_BYTES, CacheEntry, decode_entry, encode_header
from edge.cache.files import CacheFiles

VERIFIED_CAPACITY = 50_000
"""Bodies that are known to be sound, at most; all are read once more then."""

_HEADER_SUFFIX = ".block"

_FileIdentity = tuple[int, int, int]
"""Of a file: its inode, the time of its last change in nanoseconds, its length in bytes."""


class XAccelFiles(CacheFiles):
    """The block of each value lies beside its body. The group may read a body whose name it knows.

    A body may be named to another server once its bytes were read here and found right, for as long
    as its file is the same.
    """

    SUFFIX = ".body"
    FILE_MODE = 0o640
    DIRECTORY_MODE = 0o710

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        # Threads write to it too: nothing but single steps of a dict.
        self._verified: dict[str, _FileIdentity] = {}

    def verified_file(self, key: str) -> tuple[str, int] | None:
        """Name and length in bytes of a body that may be handed over; None of one to be read first."""
        identity = self._verified.get(key)
        if identity is None or self._identity(key) != identity:
            return None
        return self.relative_path(key), identity[2]

    def exists(self, key: str) -> bool:
        return super().exists(key) and Path(self.absolute_path(key) + _HEADER_SUFFIX).exists()

    def read(self, key: str, *, wait: bool) -> CacheEntry | None:
        # Looked at before it is read: what takes its place meanwhile has another identity.
        identity = self._identity(key)
        try:
            header, _ = self._read_split(self.absolute_path(key) + _HEADER_SUFFIX, HEADER_BYTES, wait=wait)
            _, body = self._read_split(self.absolute_path(key), 0, wait=wait)
        except FileNotFoundError:
            return None
        entry = decode_entry(key, header, body)
        if identity is not None:
            if len(self._verified) >= VERIFIED_CAPACITY:
                self._verified.clear()
            self._verified[key] = identity
        return entry

    def write(self, key: str, entry: CacheEntry) -> int:
        header = encode_header(key, entry)
        return self._write_atomically(self.absolute_path(key), entry.body) + self._write_atomically(
            self.absolute_path(key) + _HEADER_SUFFIX, header
        )

    def remove(self, key: str) -> None:
        for path in self.paths_of_value(self.absolute_path(key)):
            Path(path).unlink(missing_ok=True)

    @staticmethod
    def paths_of_value(body_path: str) -> tuple[str, str]:
        """The files of the value whose body this is, the body last."""
        return body_path + _HEADER_SUFFIX, body_path

    def _identity(self, key: str) -> _FileIdentity | None:
        try:
            stat = os.stat(self.absolute_path(key))  # noqa: PTH116 - in the hot path, and it is a string
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
