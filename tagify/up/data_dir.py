"""The data folder: who may use it, what is where in it, and which ports it was used with."""

import errno
import fcntl
import json
import os
import shutil
from pathlib import Path

from tagify.errors import TagifyError
from tagify.servers.ports import free_block, is_free

LEAST_FREE = 500 << 20
"""Free bytes below which nothing is started."""

LONGEST_BLOCK = 10
"""Ports in a row that one child takes, at most."""

_LOG_KEPT = 10 << 20


class FolderError(TagifyError):
    """The data folder cannot be used; the message says why and what to do."""


class DataFolder:
    """One data folder, locked for as long as the process lives."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._lock: int | None = None

    def take(self) -> None:
        """Make the folder where it is not there and lock it. Raises FolderError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (FileExistsError, NotADirectoryError) as error:
            raise FolderError(f"{self.path} is not a folder: choose another with --data-dir") from error
        except OSError as error:
            raise FolderError(_why(self.path, error)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderError(
                f"another `tagify up` uses {self.path}: stop it, or use another --data-dir"
            ) from error
        free = shutil.disk_usage(self.path).free
        if free < LEAST_FREE:
            raise FolderError(
                f"{self.path} has {free >> 20} MB free and needs {LEAST_FREE >> 20}: free some, "
                "or name another --data-dir"
            )

    def sub(self, *parts: str) -> Path:
        """A folder inside, made where it is not there."""
        place = self.path.joinpath(*parts)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        return place

    def log(self, name: str) -> Path:
        """The log of a child. One that has grown large is put aside once."""
        log = self.sub("logs") / f"{name}.log"
        if log.exists() and log.stat().st_size > _LOG_KEPT:
            log.replace(log.with_suffix(".log.old"))
        return log

    def port(self, name: str, length: int = 1) -> int:
        """The first of `length` ports for a child: those it had before where they are free, else new ones."""
        ports = self._ports()
        port = ports.get(name)
        if port is None or not all(is_free(port + offset) for offset in range(length)):
            # The others of this run may not listen yet, so that their ports still look free.
            others = {first + offset for first in ports.values() for offset in range(LONGEST_BLOCK)}
            port = free_block(length)
            while others & set(range(port, port + length)):
                port = free_block(length)
            ports[name] = port
            self._write("ports.json", json.dumps(ports))
        return port

    def _ports(self) -> dict[str, int]:
        place = self.path / "ports.json"
        try:
            kept: dict[str, int] = json.loads(place.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return kept

    def _write(self, name: str, text: str) -> None:
        partial = self.path / f"{name}.new"
        partial.write_text(text)
        partial.replace(self.path / name)


def _why(path: Path, error: OSError) -> str:
    reasons: dict[int | None, str] = {
        errno.EROFS: "lies on a read-only file system",
        errno.EACCES: "cannot be written by this user",
        errno.EPERM: "cannot be written by this user",
        errno.ENOSPC: "lies on a full disk",
    }
    reason = reasons.get(error.errno, f"cannot be used ({error.strerror})")
    return f"{path} {reason}: choose another with --data-dir"
