"""Cache files for X-Accel-Redirect: the body in a separate file, so that NGINX can send it as it is."""

import os
from pathlib import Path

from edge.cache.entry import HEADER_BYTES, CacheEntry, decode_entry, encode_header
from edge.cache.files import CacheFiles

VERIFIED_CAPACITY = 50_000
"""Verified bodies that are remembered, at most; then the memory is cleared and each is verified again."""

_HEADER_SUFFIX = ".block"

_FileIdentity = tuple[int, int, int]
"""Inode, modification time in nanoseconds and length in bytes of a file."""


class XAccelFiles(CacheFiles):
    """Header and body in two files side by side. The group may read bodies, but not list directories.

    A body is given to NGINX only once its checksum was verified here, and while its file is unchanged.
    """

    SUFFIX = ".body"
    FILE_MODE = 0o640
    DIRECTORY_MODE = 0o710

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        # Also written by threads, by single atomic operations of a dict.
        self._verified: dict[str, _FileIdentity] = {}

    def verified_file(self, key: str) -> tuple[str, int] | None:
        """Relative path and length in bytes of a verified body; None where `read` must verify it first."""
        identity = self._verified.get(key)
        if identity is None or self._identity(key) != identity:
            return None
        return self.relative_path(key), identity[2]

    def exists(self, key: str) -> bool:
        return super().exists(key) and Path(self.absolute_path(key) + _HEADER_SUFFIX).exists()

    def read(self, key: str, *, wait: bool) -> CacheEntry | None:
        # Taken before the read: a file that replaces this one during the read has another identity.
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
        """Header path and body path of an entry; the body is last."""
        return body_path + _HEADER_SUFFIX, body_path

    def _identity(self, key: str) -> _FileIdentity | None:
        try:
            stat = os.stat(self.absolute_path(key))  # noqa: PTH116 - in the hot path; the path is a string
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
