"""Reading a file so that what is stored hashes to what was read. Runs in a thread."""

import hashlib
import os
from dataclasses import dataclass
from typing import BinaryIO

from ingest.paths import sidecar_paths
from tagify.errors import TagifyError
from tagify.model import Content, FileFacts

IN_MEMORY_BYTES = 32 << 20
"""Larger originals, in bytes, are not held in memory: they are hashed, then read again as they go up."""

MAX_SIDECAR_BYTES = 1 << 20
"""Bytes of a sidecar that are read."""

_CHUNK = 1 << 20
_TRIES = 3


class FileChanged(TagifyError):
    """The file changed while it was being read."""


@dataclass(frozen=True, slots=True)
class FileSnapshot:
    """A file as it was read: its facts, the hash of its bytes and, where it is small, the bytes."""

    file: FileFacts
    content: Content
    data: bytes | None


def read_file(absolute_path: str, path: str) -> FileSnapshot:
    """Read the file at `place`; `path` is its name in the catalog.

    Raises FileChanged when it kept changing, OSError.
    """
    for _ in range(_TRIES):
        with open(absolute_path, "rb", buffering=0) as stream:  # noqa: PTH123 - names may be no Unicode
            before = _facts(stream, path)
            data = stream.readall() if before.size <= IN_MEMORY_BYTES else None
            digest = hashlib.sha256(data) if data is not None else hashlib.file_digest(stream, "sha256")
            whole = data is None or len(data) == before.size
            if whole and _facts(stream, path) == before and is_unchanged(absolute_path, before):
                return FileSnapshot(before, Content(digest.hexdigest()), data)
    raise FileChanged(f"{absolute_path} changes while it is read")


def read_sidecar(absolute_path: str) -> bytes:
    """The sidecar of the image at this place, empty where there is none that can be read."""
    for path in sidecar_paths(absolute_path):
        try:
            with open(path, "rb") as stream:  # noqa: PTH123
                return stream.read(MAX_SIDECAR_BYTES)
        except OSError:
            continue
    return b""


def is_unchanged(absolute_path: str, file: FileFacts) -> bool:
    """Whether the path still leads to the file with these facts."""
    try:
        status = os.stat(absolute_path)  # noqa: PTH116
    except FileNotFoundError:
        return False
    return (status.st_size, status.st_mtime_ns, status.st_ino) == (file.size, file.mtime_ns, file.inode)


class VerifiedReader:
    """A file on its way to the store, which must turn out to be the content that it was.

    The hash is checked before the last bytes are handed over: where it differs FileChanged is
    raised, the upload stays short of its length, and the store keeps nothing.
    """

    def __init__(self, place: str, reading: FileSnapshot) -> None:
        self._stream: BinaryIO = open(place, "rb")  # noqa: PTH123, SIM115 - closed by close()
        self._left = reading.file.size
        self._digest = hashlib.sha256()
        self._reading = reading

    def read(self, size: int = -1) -> bytes:
        """The next bytes. Raises FileChanged, OSError."""
        wanted = min(size if size >= 0 else _CHUNK, self._left)
        data = self._stream.read(wanted)
        self._digest.update(data)
        self._left -= len(data)
        if len(data) < wanted or (not self._left and self._digest.hexdigest() != self._reading.content):
            raise FileChanged(f"{self._reading.file.path} changed while it was stored")
        return data

    def close(self) -> None:
        """Let the file go."""
        self._stream.close()


def _facts(stream: BinaryIO, path: str) -> FileFacts:
    status = os.fstat(stream.fileno())
    return FileFacts(path, status.st_size, status.st_mtime_ns, status.st_ino)
