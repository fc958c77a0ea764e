"""Checks of the host: kernel and user limits, disks, programs."""

import asyncio
import os
import platform
import resource
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tagify import __version__
from tagify.concurrency.thread_pool import run_within
from tagify.doctor.finding import Finding, error, ok, warning
from tagify.sandbox.confinement import probe_confinement
from tagify.up import nginx

INOTIFY_LIMITS = Path("/proc/sys/fs/inotify")
MIN_OPEN_FILES = 4096
MIN_INOTIFY_INSTANCES = 16
"""A desktop alone uses about ten."""

COUNT_TIMEOUT_S = 30.0
"""Deadline for counting the folders of a library, in seconds: its file system may hang."""

LOW_DISK_BYTES = 5 << 30
MIN_DISK_BYTES = 500 << 20


def report_versions() -> Iterator[Finding]:
    """Report the versions of Tagify, Python and the operating system."""
    yield ok(f"tagify {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}")


def check_inotify(folders: int, libraries: int = 0, limits: Path = INOTIFY_LIMITS) -> Iterator[Finding]:
    """Check that the inotify limits allow a watch on this many folders, and an instance for each library."""
    watches, instances, queue = (
        int((limits / name).read_text())
        for name in ("max_user_watches", "max_user_instances", "max_queued_events")
    )
    message = f"inotify: {folders:,} folders to watch, limit {watches:,}"
    needed = max(1 << 20, 2 * folders)
    if folders > watches:
        yield error(message, f"sudo sysctl fs.inotify.max_user_watches={needed}")
    elif folders > watches // 2:
        yield warning(message, f"raise the limit soon: sudo sysctl fs.inotify.max_user_watches={needed}")
    else:
        yield ok(message)
    message = f"inotify: limits {instances} instances per user, {queue:,} queued events"
    fix = "sudo sysctl fs.inotify.max_user_instances=1024"
    yield ok(message) if instances >= MIN_INOTIFY_INSTANCES + libraries else warning(message, fix)


def check_open_files() -> Iterator[Finding]:
    """Check the limit of open files, which includes connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    message = f"open files: limit {soft:,} (hard limit {hard:,})"
    yield ok(message) if soft >= MIN_OPEN_FILES else warning(message, f"ulimit -n {min(hard, 65536)}")


def check_disk(label: str, path: Path) -> Iterator[Finding]:
    """Check free space and write permission at a path, or at its nearest existing parent."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    message = f"{label}: {free / 1e9:.1f} GB free in {path}"
    if not os.access(existing, os.W_OK):
        yield error(f"{label}: {path} is not writable by this user", f"sudo chown $USER {existing}")
    elif free < MIN_DISK_BYTES:
        yield error(message, "free some space, or move the folder to a larger disk")
    elif free < LOW_DISK_BYTES:
        yield warning(message, "free some space soon, or move the folder to a larger disk")
    else:
        yield ok(message)


def check_sandbox() -> Iterator[Finding]:
    """Check which layers confine the processes that decode images. Starts a process."""
    try:
        layers = probe_confinement()
    except (OSError, ValueError, TypeError, subprocess.SubprocessError):
        yield error("sandbox: no confined process can be started", "tagify doctor as the services' user")
        return
    landlock = f"Landlock ABI {layers.landlock}" if layers.landlock else "no Landlock"
    seccomp = "seccomp" if layers.seccomp else "no seccomp"
    privileges = "no_new_privs" if layers.no_new_privs else "no no_new_privs"
    message = f"sandbox of decoders: {privileges}, {landlock}, {seccomp}"
    if not layers.seccomp or not layers.no_new_privs:
        yield error(message, "a kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64")
    elif not layers.landlock:
        yield warning(message, "a kernel from 5.13 on with landlock in /sys/kernel/security/lsm")
    else:
        yield ok(message)


def check_nginx() -> Iterator[Finding]:
    """Check that nginx is installed."""
    binary = nginx.find_nginx()
    yield (
        ok(f"nginx: {binary}")
        if binary
        else warning("no nginx: page and media have two origins", "sudo apt-get install nginx")
    )


async def count_folders(roots: Sequence[Path]) -> tuple[int, list[Finding]]:
    """Count the folders at and below the roots: each needs a watch. A finding for each root not counted."""
    total, findings = 0, list[Finding]()
    counts = [run_within(COUNT_TIMEOUT_S, _count_folders, root) for root in roots]
    for root, count in zip(roots, await asyncio.gather(*counts, return_exceptions=True), strict=True):
        if isinstance(count, TimeoutError):
            message = f"{root}: its folders are not listed within {COUNT_TIMEOUT_S:g} s"
            findings.append(warning(message, "check its disk or server: it hangs, or is slow"))
        elif isinstance(count, BaseException):
            raise count
        else:
            total += count
    return total, findings


def _count_folders(root: Path) -> int:
    return sum(1 for _ in os.walk(root))
