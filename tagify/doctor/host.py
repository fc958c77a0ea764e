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

INOTIFY_LIMITS = Path("/proc/sys/fs/inotify")
MIN_OPEN_FILES = 4096
MIN_INOTIFY_INSTANCES = 16
"""A desktop alone uses some ten."""

LOW_DISK_BYTES = 5 << 30
MIN_DISK_BYTES = 500 << 20


def report_versions() -> Iterator[Finding]:
    """Of Tagify and of what it runs on."""
    yield ok(f"tagify {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}")


def check_inotify(folders: int, limits: Path = INOTIFY_LIMITS) -> Iterator[Finding]:
    """Whether the kernel will watch so many folders for one user."""
    watches, instances, queue = (
        int((limits / name).read_text())
        for name in ("max_user_watches", "max_user_instances", "max_queued_events")
    )
    message = f"inotify: {folders:,} folders of {watches:,} that may be watched"
    needed = max(1 << 20, 2 * folders)
    if folders > watches:
        yield error(message, f"sudo sysctl fs.inotify.max_user_watches={needed}")
    elif folders > watches // 2:
        yield warning(message, f"soon too few: sudo sysctl fs.inotify.max_user_watches={needed}")
    else:
        yield ok(message)
    message = f"inotify: {instances} instances for a user, {queue:,} events in the queue"
    fix = "sudo sysctl fs.inotify.max_user_instances=1024"
    yield ok(message) if instances >= MIN_INOTIFY_INSTANCES else warning(message, fix)


def check_open_files() -> Iterator[Finding]:
    """Whether a process may open enough files and connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    message = f"open files: {soft:,} (at most {hard:,})"
    yield ok(message) if soft >= MIN_OPEN_FILES else warning(message, f"ulimit -n {min(hard, 65536)}")


def check_disk(label: str, path: Path) -> Iterator[Finding]:
    """Whether there is room, and leave to write, where data is kept."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    message = f"{label}: {free / 1e9:.1f} GB free in {path}"
    if not os.access(existing, os.W_OK):
        yield error(f"{label}: {path} cannot be written by this user", f"sudo chown $USER {existing}")
    elif free < MIN_DISK_BYTES:
        yield error(message, "free some, or move it")
    elif free < LOW_DISK_BYTES:
        yield warning(message, "free some soon, or move it")
    else:
        yield ok(message)


def check_nginx() -> Iterator[Finding]:
    """Whether nginx is there to stand in front."""
    binary = nginx.find_nginx()
    yield (
        ok(f"nginx in front: {binary}")
        if binary
        else warning("no nginx: page and media come from two origins", "sudo apt-get install nginx")
    )


def count_folders(roots: Sequence[Path]) -> int:
    """Folders below these, themselves included: each takes a watch."""
    return sum(1 for root in roots for _ in os.walk(root))
