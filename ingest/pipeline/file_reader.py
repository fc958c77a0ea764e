"""Reads files so that the stored bytes have the hash that was computed. Blocking: call it in a thread."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ingest.library_threads import report_progress
from ingest.paths import sidecar_paths, to_os
from ingest.safe_open import facts_of, open_regular, stat_beneath
from tagify.errors import TagifyError
from tagify.model import Content, FileFacts
from tagify.sandbox import SharedBuffer

IN_MEMORY_BYTES = 32 << 20
"""Larger originals are not kept in memory: they are hashed, then read again during the upload."""

_BLOCK_BYTES = 4 << 20
"""Bytes between two reports of progress."""

_CHUNK_BYTES = 1 << 20
_ATTEMPTS = 3


class FileChanged(TagifyError):
    """The file changed while it was read."""


@dataclass(frozen=True, slots=True)
class FileSnapshot:
    """A file as it was read: its facts, the hash of its bytes, and the bytes themselves.

    The bytes of a small file are in `data`. A large one is read again from `descriptor`, so that whatever is
    at its path meanwhile, the bytes that are decoded and stored are those that were hashed. `close` it.
    """

    file: FileFacts
    content: Content
    data: bytes | None
    descriptor: int | None = None

    def open_source(self) -> SharedBuffer | BinaryIO:
        """The bytes in memory, or the open file, for a decoding process. Close it."""
        if self.descriptor is None:
            return SharedBuffer.from_bytes(self.data or b"")
        return os.fdopen(os.dup(self.descriptor), "rb", buffering=0)

    def is_unchanged(self) -> bool:
        """Whether the open file has not been written since it was read."""
        return self.descriptor is None or _facts(self.descriptor, self.file.path) == self.file

    def close(self) -> None:
        """Close the file."""
        if self.descriptor is not None:
            os.close(self.descriptor)


def read_file(root: str, path: str) -> FileSnapshot:
    """Read the file at `path`, in the catalog's encoding. A file that changes meanwhile is read again.

    Raises FileChanged if it keeps changing, FileNotFoundError where there is no regular file, OSError.
    """
    for _ in range(_ATTEMPTS):
        descriptor = open_regular(root, to_os(path))
        try:
            snapshot = _read(descriptor, path)
            if snapshot is not None and is_unchanged(root, snapshot.file):
                if snapshot.descriptor is not None:
                    descriptor = -1
                return snapshot
        finally:
            if descriptor >= 0:
                os.close(descriptor)
    raise FileChanged(f"{os.path.join(root, path)} keeps changing while it is read")  # noqa: PTH118


def open_sidecar(root: str, path: str) -> BinaryIO | None:
    """The sidecar of the image at this path; None where there is none that can be read. Close it."""
    for sidecar_path in sidecar_paths(to_os(path)):
        try:
            return os.fdopen(open_regular(root, sidecar_path), "rb", buffering=0)
        except OSError:
            continue
    return None


def is_unchanged(root: str, file: FileFacts) -> bool:
    """Whether the file with these facts is still at its path."""
    try:
        status = stat_beneath(root, to_os(file.path))
    except FileNotFoundError:
        return False
    return facts_of(status, file.path) == file


Call = Callable[[Callable[[], bytes]], bytes]
"""Makes a call and returns its result."""


def _call(read: Callable[[], bytes]) -> bytes:
    return read()


class VerifiedReader:
    """The stream of an upload, which must have the hash that was computed before.

    The hash is checked before the last bytes are returned. If it differs, FileChanged is raised: the
    upload stays short of its length, and the store keeps nothing.
    """

    def __init__(self, snapshot: FileSnapshot, call: Call = _call) -> None:
        """Reads from the open file of a large snapshot, which stays open. Raises ValueError without one.

        `call` makes the reading calls, in another thread perhaps.
        """
        if snapshot.descriptor is None:
            raise ValueError("the bytes are in the snapshot")
        self._descriptor = snapshot.descriptor
        self._call = call
        self._offset = 0
        self._digest = hashlib.sha256()
        self._snapshot = snapshot

    def read(self, size: int = -1) -> bytes:
        """The next bytes. Raises FileChanged, OSError, and what `call` raises."""
        bytes_left = self._snapshot.file.size - self._offset
        count = min(size if size >= 0 else _CHUNK_BYTES, bytes_left)
        data = self._call(lambda: _read_at(self._descriptor, count, self._offset))
        self._digest.update(data)
        self._offset += len(data)
        is_end = len(data) == bytes_left
        if len(data) < count or (is_end and self._digest.hexdigest() != self._snapshot.content):
            raise FileChanged(f"{self._snapshot.file.path} changed before it was stored")
        return data


def _read(descriptor: int, path: str) -> FileSnapshot | None:
    """The file read and hashed; None if it was written meanwhile."""
    before = _facts(descriptor, path)
    with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as stream:
        data = _read_all(stream, before.size) if before.size <= IN_MEMORY_BYTES else None
        digest = hashlib.sha256(data) if data is not None else _hash(stream)
    if _facts(descriptor, path) != before or (data is not None and len(data) != before.size):
        return None
    return FileSnapshot(before, Content(digest.hexdigest()), data, None if data is not None else descriptor)


def _read_all(stream: BinaryIO, size: int) -> bytes:
    """All bytes of a file of about this size; of a large one block by block, so that progress is seen."""
    if size <= _BLOCK_BYTES:
        return stream.read()
    return b"".join(_blocks(stream))


def _hash(stream: BinaryIO) -> "hashlib._Hash":
    digest = hashlib.sha256()
    for block in _blocks(stream):
        digest.update(block)
    return digest


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(_BLOCK_BYTES):
        report_progress()
        yield block


def _read_at(descriptor: int, count: int, offset: int) -> bytes:
    """`count` bytes from the offset on; fewer at the end of the file."""
    chunks: list[bytes] = []
    while count and (chunk := os.pread(descriptor, count, offset)):
        chunks.append(chunk)
        count -= len(chunk)
        offset += len(chunk)
    return b"".join(chunks)


def _facts(descriptor: int, path: str) -> FileFacts:
    return facts_of(os.fstat(descriptor), path)
