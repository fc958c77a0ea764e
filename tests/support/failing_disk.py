"""A disk that fails on demand: `python -m tests.support.failing_disk FOLDER MOUNT FAULT`.

Shows FOLDER at MOUNT. The file FAULT says what answers EIO: `read`, `stat` (of files) or `list`.
"""

import asyncio
import ctypes.util
import errno
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.servers import skip_or_fail
from tests.support.waiting import until


class FailingDisk:
    """A mounted folder, and the fault that it has now."""

    def __init__(self, fault: Path) -> None:
        self._fault = fault

    def set_fault(self, what: str) -> None:
        """From now on; an empty word mends it."""
        self._fault.write_text(what)


@asynccontextmanager
async def failing_disk(folder: Path, mount: Path, fault: Path) -> AsyncIterator[FailingDisk]:
    """The folder shown at `mount` for as long as the block lasts."""
    if not Path("/dev/fuse").exists() or not ctypes.util.find_library("fuse3"):
        skip_or_fail("fuse3", "sudo apt-get install fuse3, on a kernel with /dev/fuse")
    fault.write_text("")
    command = (sys.executable, "-m", "tests.support.failing_disk", folder, mount, fault)
    process = await asyncio.create_subprocess_exec(*map(str, command))

    async def mounted() -> bool:
        assert process.returncode is None, "the file system could not be mounted"
        return os.path.ismount(mount)

    try:
        await until(mounted)
        yield FailingDisk(fault)
    finally:
        ended = await asyncio.create_subprocess_exec("fusermount3", "-u", "-z", str(mount))
        await ended.wait()
        await process.wait()


class FaultyOperations:
    """What the kernel asks for. Mixed into the base class of the library, which is imported where it is."""

    use_ns = True

    def __init__(self, folder: str, fault: str) -> None:
        self._folder = folder
        self._fault = Path(fault)

    def _check(self, what: str, path: str) -> None:
        if self._fault.read_text() == what and not path.endswith(".tagify"):
            raise OSError(errno.EIO, "the disk fails")

    def getattr(self, path: str, fh: Any = None) -> dict[str, Any]:
        status = os.lstat(self._folder + path)
        if stat.S_ISREG(status.st_mode):
            self._check("stat", path)
        names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino")
        times = {f"st_{each}": getattr(status, f"st_{each}_ns") for each in ("atime", "mtime", "ctime")}
        return {name: getattr(status, name) for name in names} | times

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        self._check("list", path)
        names = [".", "..", *os.listdir(self._folder + path)]
        found = [(name, os.lstat(f"{self._folder}{path}/{name}")) for name in names]
        return [(name, {"st_mode": status.st_mode, "st_ino": status.st_ino}, 0) for name, status in found]

    def open(self, path: str, flags: int) -> int:
        return os.open(self._folder + path, flags)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(self._folder + path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, mode)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        os.truncate(self._folder + path, length)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self._check("read", path)
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0


def main(folder: str, mount: str, fault: str) -> None:
    """Serve until unmounted."""
    import mfusepy  # noqa: PLC0415 - it looks for its library when it is imported

    operations = type("Operations", (FaultyOperations, mfusepy.Operations), {})
    options = {"direct_io": True, "use_ino": True, "attr_timeout": 0, "entry_timeout": 0}
    mfusepy.FUSE(operations(folder, fault), mount, foreground=True, nothreads=True, **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
