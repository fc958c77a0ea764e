"""A FUSE file system with injected faults: `python -m tests.support.failing_disk FOLDER MOUNT FAULT THREADS`.

Shows FOLDER at MOUNT. The content of the file FAULT selects the operation that fails with EIO:
`read`, `stat` (of files) or `list`; empty for none. With `hang`, reads of files named `hung*`, and every
call below a folder named so, do not return until it is another one: that needs THREADS, 1 in place of 0.
"""

import asyncio
import ctypes.util
import errno
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.servers import skip_or_fail
from tests.support.waiting import until


class FailingDisk:
    """A mounted folder with a selectable fault. Every call hangs between `freeze` and `thaw`."""

    def __init__(self, fault: Path, process: asyncio.subprocess.Process) -> None:
        self._fault = fault
        self._process = process

    def set_fault(self, operation: str) -> None:
        """Make an operation fail from now on; an empty string repairs the disk."""
        self._fault.write_text(operation)

    def freeze(self) -> None:
        """Let every call at the mount hang, as a dead server does: the file system's process is stopped."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the calls that hang, and all others, return."""
        self._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def failing_disk(
    folder: Path, mount: Path, fault: Path, *, threads: bool = False
) -> AsyncIterator[FailingDisk]:
    """Show the folder at `mount` until the end of the block. `threads`: one call may hang and others go on."""
    if not Path("/dev/fuse").exists() or not ctypes.util.find_library("fuse3"):
        skip_or_fail("fuse3", "sudo apt-get install fuse3, on a kernel with /dev/fuse")
    fault.write_text("")
    command = (sys.executable, "-m", "tests.support.failing_disk", folder, mount, fault, int(threads))
    process = await asyncio.create_subprocess_exec(*map(str, command))

    async def mounted() -> bool:
        assert process.returncode is None, "the file system could not be mounted"
        return os.path.ismount(mount)

    try:
        await until(mounted)
        yield FailingDisk(fault, process)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        fault.write_text("")
        unmount = await asyncio.create_subprocess_exec("fusermount3", "-u", "-z", str(mount))
        await unmount.wait()
        await process.wait()


class FaultyOperations:
    """The file system's operations; a mixin, since the library is imported in `main` only."""

    use_ns = True

    def __init__(self, folder: str, fault: str) -> None:
        self._folder = folder
        self._fault = Path(fault)

    def _check(self, operation: str, path: str) -> None:
        if self._fault.read_text() == operation and not path.endswith(".tagify"):
            raise OSError(errno.EIO, "the disk fails")

    def _hang(self, path: str) -> None:
        while "/hung" in path and self._fault.read_text() == "hang":
            time.sleep(0.02)

    def getattr(self, path: str, fh: Any = None) -> dict[str, Any]:
        if "/hung/" in path:
            self._hang(path)
        status = os.lstat(self._folder + path)
        if stat.S_ISREG(status.st_mode):
            self._check("stat", path)
        names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino")
        times = {f"st_{each}": getattr(status, f"st_{each}_ns") for each in ("atime", "mtime", "ctime")}
        return {name: getattr(status, name) for name in names} | times

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        self._check("list", path)
        self._hang(path)
        names = [".", "..", *os.listdir(self._folder + path)]
        statuses = [(name, os.lstat(f"{self._folder}{path}/{name}")) for name in names]
        return [(name, {"st_mode": status.st_mode, "st_ino": status.st_ino}, 0) for name, status in statuses]

    def open(self, path: str, flags: int) -> int:
        return os.open(self._folder + path, flags)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(self._folder + path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, mode)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        os.truncate(self._folder + path, length)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self._check("read", path)
        self._hang(path)
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0


def main(folder: str, mount: str, fault: str, threads: str) -> None:
    """Serve the file system until it is unmounted."""
    import mfusepy  # noqa: PLC0415 - the import fails without libfuse

    operations = type("Operations", (FaultyOperations, mfusepy.Operations), {})
    options = {"direct_io": True, "use_ino": True, "attr_timeout": 0, "entry_timeout": 0}
    mfusepy.FUSE(operations(folder, fault), mount, foreground=True, nothreads=threads == "0", **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
