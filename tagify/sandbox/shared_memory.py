"""Bytes in anonymous memory (memfd) that processes pass to each other without a copy."""

import os
from types import TracebackType
from typing import Self


class SharedBuffer:
    """An anonymous file in memory: written by one process, read by another one. Closing it frees it here."""

    def __init__(self, fd: int | None = None) -> None:
        """`fd`: the buffer of another process; without it a new one is created."""
        self.fd = os.memfd_create("tagify", os.MFD_CLOEXEC) if fd is None else fd
        self._open = True

    @property
    def size(self) -> int:
        """Length in bytes."""
        return os.fstat(self.fd).st_size

    @property
    def path(self) -> str:
        """The path by which this process can open it as a file."""
        return f"/proc/self/fd/{self.fd}"

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
