"""Reads files so that the stored bytes have the hash that was computed. Blocking: call it in a thread."""

import hashlib
import os
from dataclasses import dataclass
from typing import BinaryIO

from ingest.paths import sidecar_paths
from tagify.errors import TagifyError
from tagify.model import Content, FileFacts

IN_MEMORY_BYTES = 32 << 20
"""Larger originals are not kept in memory: they are hashed, then read again during the upload."""

MAX_SIDECAR_BYTES = 1 << 20
"""Bytes of a sidecar that are read; the rest is ignored."""

_CHUNK_BYTES = 1 << 20
_ATTEMPTS = 3


class FileChanged(TagifyError):
    """The file changed while it was read."""


@dataclass(frozen=True, slots=True)
class FileSnapshot:
    """A file as it was read: its facts, the hash of its bytes and, for a small file, the bytes."""

    file: FileFacts
    content: Content
    data: bytes | None


def read_file(absolute_path: str, path: str) -> FileSnapshot:
    """Read a file; `path` is its path in the catalog. A file that changes meanwhile is read again.

    Raises FileChanged if it keeps changing, OSError.
    """
    for _ in range(_ATTEMPTS):
        with open(absolute_path, "rb", buffering=0) as stream:  # noqa: PTH123 - names may be no Unicode
            before = _facts(stream, path)
            data = stream.readall() if before.size <= IN_MEMORY_BYTES else None
            digest = hashlib.sha256(data) if data is not None else hashlib.file_digest(stream, "sha256")
            is_whole = data is None or len(data) == before.size
            if is_whole and _facts(stream, path) == before and is_unchanged(absolute_path, before):
                return FileSnapshot(before, Content(digest.hexdigest()), data)
    raise FileChanged(f"{absolute_path} keeps changing while it is read")


def read_sidecar(absolute_path: str) -> bytes:
    """The sidecar of the image at this path; empty where there is none that can be read."""
    for sidecar_path in sidecar_paths(absolute_path):
        try:
            with open(sidecar_path, "rb") as stream:  # noqa: PTH123
                return stream.read(MAX_SIDECAR_BYTES)
        except OSError:
            continue
    return b""


def is_unchanged(absolute_path: str, file: FileFacts) -> bool:
    """Whether the file with these facts is still at the path."""
    try:
        status = os.stat(absolute_path)  # noqa: PTH116
    except FileNotFoundError:
        return False
    return (status.st_size, status.st_mtime_ns, status.st_ino) == (file.size, file.mtime_ns, file.inode)


class VerifiedReader:
    """The stream of an upload, which must have the hash that was computed before.

    The hash is checked before the last bytes are returned. If it differs, FileChanged is raised: the
    upload stays short of its length, and the store keeps nothing.
    """

    def __init__(self, absolute_path: str, snapshot: FileSnapshot) -> None:
        self._stream: BinaryIO = open(absolute_path, "rb")  # noqa: PTH123, SIM115 - closed by close()
        self._bytes_left = snapshot.file.size
        self._digest = hashlib.sha256()
        self._snapshot = snapshot

    def read(self, size: int = -1) -> bytes:
        """The next bytes. Raises FileChanged, OSError."""
        count = min(size if size >= 0 else _CHUNK_BYTES, self._bytes_left)
        data = self._stream.read(count)
        self._digest.update(data)
        self._bytes_left -= len(data)
        is_end = not self._bytes_left
        if len(data) < count or (is_end and self._digest.hexdigest() != self._snapshot.content):
            raise FileChanged(f"{self._snapshot.file.path} changed before it was stored")
        return data

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _facts(stream: BinaryIO, path: str) -> FileFacts:
    status = os.fstat(stream.fileno())
    return FileFacts(path, status.st_size, status.st_mtime_ns, status.st_ino)
