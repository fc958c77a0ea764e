"""Bytes in anonymous memory that processes hand to each other without copying them."""

import os
from types import TracebackType
from typing import Self


class SharedBuffer:
    """Bytes that are written once, then read by others. Closing gives them back."""

    def __init__(self, fd: int | None = None) -> None:
        self.fd = os.memfd_create("tagify", os.MFD_CLOEXEC) if fd is None else fd
        self._open = True

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return os.fstat(self.fd).st_size

    @property
    def path(self) -> str:
        """Where this process finds it as a file."""
        return f"/proc/self/fd/{self.fd}"

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Put bytes behind those that are there."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view) :]

    def read(self, limit: int) -> bytes:
        """All of it, up to `limit` bytes."""
        return os.pread(self.fd, min(self.size, limit), 0)

    def close(self) -> None:
        """Give it back."""
        if self._open:
            self._open = False
            os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
