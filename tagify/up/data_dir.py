"""The data folder of `tagify up`: its lock, subfolders, logs and allocated ports."""

import errno
import fcntl
import json
import os
import shutil
from pathlib import Path

from tagify.errors import TagifyError
from tagify.servers.ports import find_free_port, is_port_free

MIN_FREE_BYTES = 500 << 20
"""Free disk space that a start needs, in bytes."""

MAX_PORTS_PER_PROGRAM = 10
"""Maximum number of consecutive ports of one program."""

_MAX_LOG_BYTES = 10 << 20
"""A larger log is rotated at the next start."""

MARKER = "tagify-data"
"""The file that marks a folder as a data folder. A folder that has files but no marker is refused: it is
somebody else's, and a start would write into it."""

_MARKER_TEXT = "This folder belongs to `tagify up`: it holds the servers' data and their passwords.\n"

_IGNORED = frozenset({MARKER, "lost+found"})
"""Entries of a folder that counts as empty; a new ext4 file system has a folder `lost+found`."""

_FIRST_ENTRIES = frozenset({"lock", "roots.json", "sample-library"})
"""What a release without a marker had written before it allocated ports."""

OTHER_DATA_DIR = "choose another with --data-dir (make up: DATA=FOLDER)"


class DataDirError(TagifyError):
    """The data folder cannot be used; the message says why and what to do."""


class DataDir:
    """A data folder, locked by `lock()` until the process exits."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._lock_fd: int | None = None

    def lock(self) -> None:
        """Create and mark the folder if needed, lock it and check free space. Raises DataDirError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not _is_usable(self.path):
                raise DataDirError(
                    f"{self.path} has files that are not Tagify's, and stays as it is: {OTHER_DATA_DIR}"
                )
            (self.path / MARKER).write_text(_MARKER_TEXT)
            self._lock_fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (FileExistsError, NotADirectoryError) as error:
            raise DataDirError(f"{self.path} is not a folder: {OTHER_DATA_DIR}") from error
        except OSError as error:
            raise DataDirError(_describe_error(self.path, error)) from error
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataDirError(
                f"another `tagify up` uses {self.path}: stop it, or {OTHER_DATA_DIR}"
            ) from error
        free = shutil.disk_usage(self.path).free
        if free < MIN_FREE_BYTES:
            raise DataDirError(
                f"{self.path} has {free >> 20} MB free and needs {MIN_FREE_BYTES >> 20}: free some space, "
                f"or {OTHER_DATA_DIR}"
            )

    def subdirectory(self, *parts: str) -> Path:
        """Return a subfolder, created if needed."""
        path = self.path.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def log_path(self, name: str) -> Path:
        """Return the log file of a program; one over _MAX_LOG_BYTES is renamed to `.log.old` first."""
        log = self.subdirectory("logs") / f"{name}.log"
        if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
            log.replace(log.with_suffix(".log.old"))
        return log

    def allocate_ports(self, name: str, length: int = 1) -> int:
        """Return the first of `length` consecutive ports: those of the last run if free, else new ones."""
        ports = self._load_ports()
        port = ports.get(name)
        if port is None or not all(is_port_free(port + offset) for offset in range(length)):
            # Other programs of this run may not listen yet: their ports still look free.
            others = {first + offset for first in ports.values() for offset in range(MAX_PORTS_PER_PROGRAM)}
            port = find_free_port(consecutive=length)
            while others & set(range(port, port + length)):
                port = find_free_port(consecutive=length)
            ports[name] = port
            self._write("ports.json", json.dumps(ports))
        return port

    def _load_ports(self) -> dict[str, int]:
        path = self.path / "ports.json"
        try:
            ports: dict[str, int] = json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return ports

    def _write(self, name: str, text: str) -> None:
        partial = self.path / f"{name}.new"
        partial.write_text(text)
        partial.replace(self.path / name)


def _describe_error(path: Path, error: OSError) -> str:
    reasons: dict[int | None, str] = {
        errno.EROFS: "is on a read-only file system",
        errno.EACCES: "is not writable by this user",
        errno.EPERM: "is not writable by this user",
        errno.ENOSPC: "is on a full disk",
    }
    reason = reasons.get(error.errno, f"cannot be used ({error.strerror})")
    return f"{path} {reason}: {OTHER_DATA_DIR}"


def _is_usable(folder: Path) -> bool:
    """Whether the folder is empty or a data folder, that of a release without a marker included."""
    names = {entry.name for entry in folder.iterdir()}
    if names <= _IGNORED or (folder / MARKER).is_file():
        return True
    lock = folder / "lock"
    if lock.is_symlink() or not lock.is_file() or lock.stat().st_size:
        return False
    return names - _IGNORED <= _FIRST_ENTRIES or _has_known_ports(folder / "ports.json")


def _has_known_ports(file: Path) -> bool:
    """Whether the file is one that `allocate_ports` wrote."""
    try:
        ports = json.loads(file.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(ports, dict) and {"ingest", "edge"} <= ports.keys()
