"""Opens files of a library without following a symbolic link out of it, and regular files alone.

The kernel resolves a path in one step relative to the root's descriptor (openat2(2) with RESOLVE_BENEATH and
RESOLVE_NO_SYMLINKS, Linux 5.6); where that call is missing or forbidden, the path is opened component by
component with O_NOFOLLOW. A folder that another process replaces by a symbolic link leads nowhere. FIFOs,
sockets and devices are opened without blocking and refused by their type. The root itself may be a symbolic
link: it is configured by the administrator. All functions block: run them in a thread.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable
from typing import Final

from tagify.model import FileFacts

_OPENAT2: Final = 437
"""Number of the system call, the same on every architecture since Linux 5.6."""
_RESOLVE: Final = 0x08 | 0x04 | 0x02
"""RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS."""
_MISSING_CALL: Final = {errno.ENOSYS, errno.EPERM}
_NOT_THERE: Final = {errno.ELOOP, errno.EXDEV, errno.ENOTDIR, errno.ENXIO, errno.ENODEV}
"""A symbolic link or `..` on the way; a file, or with the fallback a link, in the place of a folder; a socket
or a device without a driver at its end."""
_TRIES: Final = 10
"""openat2 gives up with EAGAIN while another process renames folders above the path."""

_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC

_STATX_BYTES: Final = 256
_STATX_INO: Final = 0x100
_STATX_BTIME: Final = 0x800
_AT_EMPTY_PATH: Final = 0x1000

_libc = ctypes.CDLL(None, use_errno=True)
_statx = getattr(_libc, "statx", None)
"""statx(2), the only call that returns a file's time of birth; the C library has it since glibc 2.28."""


def open_regular(root: str, path: str, flags: int = _FILE_FLAGS) -> int:
    """A descriptor of the regular file at `path` below `root`, a relative path as `os` spells it.

    The caller closes it. Raises FileNotFoundError where there is no regular file, or only behind a symbolic
    link; OSError where the disk fails.
    """
    fd = _open_beneath(root, path, flags)
    try:
        _check_regular(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_folder(root: str, path: str) -> int:
    """A descriptor of the folder at `path` below `root` (`""`: the root). Raises as `open_regular`."""
    if not path:
        return os.open(root, _FOLDER_FLAGS)
    return _open_beneath(root, path, _FOLDER_FLAGS | os.O_NOFOLLOW)


def stat_beneath(root: str, path: str) -> os.stat_result:
    """The status of what is at `path` below `root`, without following a link. Raises as `open_regular`."""
    fd = _open_beneath(root, path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def append_line(root: str, name: str, line: str) -> None:
    """Append a line to the file `name` in the root, which is created if there is none.

    Raises FileNotFoundError where there is a symbolic link or no regular file, or a file that has other
    names: it may be another program's; OSError where the file cannot be written.
    """
    root_fd = os.open(root, _FOLDER_FLAGS)
    try:
        fd = os.open(name, _APPEND_FLAGS, 0o666, dir_fd=root_fd)
    finally:
        os.close(root_fd)
    with os.fdopen(fd, "a", encoding="utf-8") as stream:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise FileNotFoundError(errno.ENOENT, "not a regular file with one name", name)
        stream.write(line + "\n")


def facts_of(status: os.stat_result, path: str) -> FileFacts:
    """The facts of the file at `path`, in the catalog's encoding, with this status."""
    return FileFacts(path, status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def birth_ns(root: str, path: str, inode: int) -> int:
    """When the file at `path` was created; 0 where that is unknown, or another file is there."""
    if _statx is None:
        return 0
    try:
        fd = _open_beneath(root, path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0
    buffer = ctypes.create_string_buffer(_STATX_BYTES)
    try:
        failed = _statx(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME | _STATX_INO, buffer)
    finally:
        os.close(fd)
    (mask,), (found,) = struct.unpack_from("=I", buffer, 0), struct.unpack_from("=Q", buffer, 32)
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, 80)
    is_known = not failed and mask & _STATX_BTIME and found == inode
    return seconds * 1_000_000_000 + nanoseconds if is_known else 0


def _check_regular(fd: int, path: str) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise FileNotFoundError(errno.ENOENT, "not a regular file", path)


def _open_beneath(root: str, path: str, flags: int) -> int:
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _resolve(root_fd, path, flags)
    except OSError as error:
        if error.errno in _NOT_THERE:
            raise FileNotFoundError(errno.ENOENT, "no such file below the root", path) from error
        raise
    finally:
        os.close(root_fd)


def _openat2(root_fd: int, path: str, flags: int) -> int:
    """Raises OSError; ENOSYS where the kernel has no such call."""
    how = struct.pack("=QQQ", flags, 0, _RESOLVE)
    for _ in range(_TRIES):
        fd: int = _libc.syscall(_OPENAT2, root_fd, os.fsencode(path), how, len(how))
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(number, os.strerror(number), path)


def _open_each_component(root_fd: int, path: str, flags: int) -> int:
    """The fallback: each folder on the way is opened relative to the one before, without following links."""
    *folders, name = path.split("/")
    if ".." in folders or name in ("..", "", "."):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    at = os.dup(root_fd)
    try:
        for folder in folders:
            below = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = below
        return os.open(name, flags, dir_fd=at)
    finally:
        os.close(at)


def _choose() -> Callable[[int, str, int], int]:
    """openat2 where it works in this process: a container's seccomp filter may forbid it."""
    fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(_openat2(fd, ".", os.O_PATH | os.O_CLOEXEC))
    except OSError as error:
        if error.errno in _MISSING_CALL:
            return _open_each_component
        raise
    finally:
        os.close(fd)
    return _openat2


_resolve = _choose()
