"""Idempotent installation steps: each checks the host first and is applied only if needed."""

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tagify.errors import TagifyError
from tagify.settings.file_version import with_version


class InstallError(TagifyError):
    """A step failed; the message says which and why."""


class InstallStep(Protocol):
    """A desired state of the host."""

    def is_needed(self, changed: Set[Path]) -> bool:
        """Whether the state is not reached yet; `changed`: paths that earlier steps of this run changed."""

    def apply(self) -> None:
        """Reach the state. Raises InstallError."""

    @property
    def changed_path(self) -> Path | None:
        """The path that it changes; None for a command."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with a mode and an owner (`user:group`)."""

    path: Path
    mode: int = 0o755
    owner: str = "root:root"

    def is_needed(self, _: Set[Path]) -> bool:
        return not self.path.is_dir() or not _has_owner(self.path, self.mode, self.owner)

    def apply(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        _set_owner(self.path, self.mode, self.owner)

    @property
    def changed_path(self) -> Path:
        return self.path

    def __str__(self) -> str:
        return f"create folder {self.path} ({self.mode:o}, {self.owner})"


@dataclass(frozen=True, slots=True)
class File:
    """A file with a text, written atomically. `keep`: do not change the text of an existing file."""

    path: Path
    text: str
    mode: int = 0o644
    owner: str = "root:root"
    keep: bool = False

    def is_needed(self, _: Set[Path]) -> bool:
        if not self.path.is_file() or not _has_owner(self.path, self.mode, self.owner):
            return True
        return not self.keep and self.path.read_text() != self.text

    def apply(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not (self.keep and self.path.is_file()):
            partial = self.path.with_name(self.path.name + ".new")
            partial.touch(mode=0o600)
            partial.write_text(self.text)
            partial.replace(self.path)
        _set_owner(self.path, self.mode, self.owner)

    @property
    def changed_path(self) -> Path:
        return self.path

    def __str__(self) -> str:
        return f"write file {self.path} ({self.mode:o}, {self.owner})"


@dataclass(frozen=True, slots=True)
class SettingsVersion:
    """The version line of an existing settings file: at least this version. The rest of the text stays."""

    path: Path
    version: str

    def is_needed(self, _: Set[Path]) -> bool:
        return (
            self.path.is_file() and with_version(self.path.read_text(), self.version) != self.path.read_text()
        )

    def apply(self) -> None:
        status = self.path.stat()
        partial = self.path.with_name(self.path.name + ".new")
        partial.touch(mode=0o600)
        partial.write_text(with_version(self.path.read_text(), self.version))
        os.chown(partial, status.st_uid, status.st_gid)
        partial.chmod(status.st_mode & 0o7777)
        partial.replace(self.path)

    @property
    def changed_path(self) -> Path:
        return self.path

    def __str__(self) -> str:
        return f"set the version of {self.path} to {self.version}"


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link, replaced atomically by a rename. `keep`: do not replace an existing file or link."""

    path: Path
    target: Path
    keep: bool = False

    def is_needed(self, _: Set[Path]) -> bool:
        if self.keep and os.path.lexists(self.path):
            return False
        return not self.path.is_symlink() or self.path.readlink() != self.target

    def apply(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".new")
        partial.unlink(missing_ok=True)
        partial.symlink_to(self.target)
        partial.replace(self.path)

    @property
    def changed_path(self) -> Path:
        return self.path

    def __str__(self) -> str:
        return f"create link {self.path} -> {self.target}"


@dataclass(frozen=True, slots=True)
class Absent:
    """The absence of a file, link or folder; `apply` deletes it."""

    path: Path

    def is_needed(self, _: Set[Path]) -> bool:
        return self.path.exists() or self.path.is_symlink()

    def apply(self) -> None:
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink()

    @property
    def changed_path(self) -> Path:
        return self.path

    def __str__(self) -> str:
        return f"remove {self.path}"


@dataclass(frozen=True, slots=True)
class Command:
    """A command, run if `condition(changed paths)` holds."""

    argv: tuple[str, ...]
    condition: Callable[[Set[Path]], bool]

    def is_needed(self, changed: Set[Path]) -> bool:
        return self.condition(changed)

    def apply(self) -> None:
        completed = subprocess.run(self.argv, capture_output=True, text=True, check=False)  # noqa: S603
        if completed.returncode:
            output = (completed.stderr or completed.stdout).strip()
            raise InstallError(f"{self}: {output or completed.returncode}")

    @property
    def changed_path(self) -> None:
        return None

    def __str__(self) -> str:
        return "run " + " ".join(self.argv)


def apply_steps(steps: Iterable[InstallStep], *, dry_run: bool) -> int:
    """Apply the needed steps, printing each; returns their number. `dry_run`: print only."""
    changed: set[Path] = set()
    applied = 0
    for step in steps:
        if not step.is_needed(changed):
            continue
        print(("would " if dry_run else "") + str(step), flush=True)
        if not dry_run:
            step.apply()
        if step.changed_path is not None:
            changed.add(step.changed_path)
        applied += 1
    return applied


def _has_owner(path: Path, mode: int, owner: str) -> bool:
    try:
        status, owner_ids = path.stat(), _owner_ids(owner)
    except LookupError:
        return False
    return (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (mode, *owner_ids)


def _set_owner(path: Path, mode: int, owner: str) -> None:
    os.chown(path, *_owner_ids(owner))
    path.chmod(mode)


def _owner_ids(owner: str) -> tuple[int, int]:
    user, _, group = owner.partition(":")
    return pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
