"""Metrics of the process and of its disks, as the kernel counts them."""

import asyncio
import os
import platform
import resource
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from tagify import __version__
from tagify.metrics import Metrics

_STAT_START_TICKS = 19
"""Index of the start time in /proc/self/stat, behind the name of the program."""


def add_process_metrics(metrics: Metrics) -> None:
    """Add the metrics that Prometheus's client libraries have, and the version of Tagify."""
    build = metrics.gauge("tagify_build_info", "1; the labels have the versions of Tagify and Python.")
    build.set(1, version=__version__, python=platform.python_version())
    cpu = metrics.counter("process_cpu_seconds_total", "CPU time of the process, in seconds.")
    resident = metrics.gauge("process_resident_memory_bytes", "Resident memory, in bytes.")
    virtual = metrics.gauge("process_virtual_memory_bytes", "Virtual memory, in bytes.")
    open_fds = metrics.gauge("process_open_fds", "Open file descriptors.")
    max_fds = metrics.gauge("process_max_fds", "Limit of open file descriptors.")
    metrics.gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.").set(
        _start_time_s()
    )

    async def refresh() -> None:
        cpu.set(time.process_time())
        total_bytes, resident_bytes = _memory_bytes()
        virtual.set(total_bytes)
        resident.set(resident_bytes)
        open_fds.set(_open_fds())
        max_fds.set(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    metrics.add_refresher(refresh)


def add_disk_metrics(metrics: Metrics, folders: Iterable[Path]) -> None:
    """Add the size and the free space of the disks of these folders."""
    size = metrics.gauge("tagify_disk_size_bytes", "Size of the disk of a folder, in bytes.")
    free = metrics.gauge("tagify_disk_free_bytes", "Free space of the disk of a folder, in bytes.")
    watched = tuple(folders)

    async def refresh() -> None:
        for folder in watched:
            usage = await asyncio.to_thread(_disk_usage, folder)
            size.set(usage.total, folder=str(folder))
            free.set(usage.free, folder=str(folder))

    metrics.add_refresher(refresh)


def _disk_usage(folder: Path) -> "shutil._ntuple_diskusage":
    """The usage at a folder, or at its nearest existing parent. Blocks."""
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists()))


def _memory_bytes() -> tuple[int, int]:
    total, resident = Path("/proc/self/statm").read_text().split()[:2]
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    return int(total) * page_bytes, int(resident) * page_bytes


def _open_fds() -> int:
    # One less: the descriptor of the listing.
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1


def _start_time_s() -> float:
    # /proc/stat has the time of the boot, but the units hide all of /proc but the processes.
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[_STAT_START_TICKS])
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age_s
