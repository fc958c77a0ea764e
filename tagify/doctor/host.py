"""Looks at the machine: limits of the kernel and of the user, disks, programs."""

import os
import platform
import resource
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tagify import __version__
from tagify.doctor.finding import Finding, error, ok, warning
from tagify.up import nginx

INOTIFY = Path("/proc/sys/fs/inotify")
ENOUGH_FILES = 4096
FEW_INSTANCES = 16
"""A desktop alone uses some ten."""

LOW_DISK = 5 << 30
NO_DISK = 500 << 20


def versions() -> Iterator[Finding]:
    """Of Tagify and of what it runs on."""
    yield ok(f"tagify {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}")


def inotify(folders: int, limits: Path = INOTIFY) -> Iterator[Finding]:
    """Whether the kernel will watch so many folders for one user."""
    watches, instances, queue = (
        int((limits / name).read_text())
        for name in ("max_user_watches", "max_user_instances", "max_queued_events")
    )
    told = f"inotify: {folders:,} folders of {watches:,} that may be watched"
    needed = max(1 << 20, 2 * folders)
    if folders > watches:
        yield error(told, f"sudo sysctl fs.inotify.max_user_watches={needed}")
    elif folders > watches // 2:
        yield warning(told, f"soon too few: sudo sysctl fs.inotify.max_user_watches={needed}")
    else:
        yield ok(told)
    told = f"inotify: {instances} instances for a user, {queue:,} events in the queue"
    fix = "sudo sysctl fs.inotify.max_user_instances=1024"
    yield ok(told) if instances >= FEW_INSTANCES else warning(told, fix)


def open_files() -> Iterator[Finding]:
    """Whether a process may open enough files and connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = f"open files: {soft:,} (at most {hard:,})"
    yield ok(told) if soft >= ENOUGH_FILES else warning(told, f"ulimit -n {min(hard, 65536)}")


def disk(what: str, place: Path) -> Iterator[Finding]:
    """Whether there is room, and leave to write, where data is kept."""
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    told = f"{what}: {free / 1e9:.1f} GB free in {place}"
    if not os.access(there, os.W_OK):
        yield error(f"{what}: {place} cannot be written by this user", f"sudo chown $USER {there}")
    elif free < NO_DISK:
        yield error(told, "free some, or move it")
    elif free < LOW_DISK:
        yield warning(told, "free some soon, or move it")
    else:
        yield ok(told)


def front() -> Iterator[Finding]:
    """Whether nginx is there to stand in front."""
    found = nginx.installed()
    yield (
        ok(f"nginx in front: {found}")
        if found
        else warning("no nginx: page and media come from two origins", "sudo apt-get install nginx")
    )


def count_folders(roots: Sequence[Path]) -> int:
    """Folders below these, themselves included: each takes a watch."""
    return sum(1 for root in roots for _ in os.walk(root))
