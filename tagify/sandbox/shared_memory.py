"""Bytes in anonymous memory (memfd) that processes pass to each other without a copy."""

import fcntl
import os
import stat
from types import TracebackType
from typing import Self


class SharedBuffer:
    """An anonymous file in memory: written by one process, read by another one. Closing it frees it here."""

    def __init__(self, fd: int | None = None) -> None:
        """`fd`: the buffer of another process; without it a new one is created."""
        self.fd = os.memfd_create("tagify", os.MFD_CLOEXEC) if fd is None else fd
        self._open = True

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """A buffer with this content. Blocks while it copies: call it in a thread for large data."""
        buffer = cls()
        try:
            buffer.append(data)
        except BaseException:
            buffer.close()
            raise
        return buffer

    @property
    def size(self) -> int:
        """Length in bytes."""
        return os.fstat(self.fd).st_size

    def fileno(self) -> int:
        """The file descriptor."""
        return self.fd

    def open_reader(self) -> int:
        """A new descriptor that can only read, with an offset of its own. The caller closes it."""
        return os.open(f"/proc/self/fd/{self.fd}", os.O_RDONLY | os.O_CLOEXEC)

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view) :]

    def read(self, limit: int) -> bytes:
        """Its content, at most the first `limit` bytes."""
        return os.pread(self.fd, min(self.size, limit), 0)

    def close(self) -> None:
        """Close the file descriptor; the memory is freed when no process has it open."""
        if self._open:
            self._open = False
            os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_memory_file(fd: int) -> bool:
    """Whether a descriptor is a file in memory, which a read cannot block on: a memfd, or on a tmpfs."""
    try:
        fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False
