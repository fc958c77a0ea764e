"""`python -m ingest --once PATH`: import a folder, print a summary, and exit."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from ingest.container import Container
from ingest.library_threads import LibraryThreadPools
from ingest.sync.root_identity import is_root_of
from tagify.catalog import ImageFilter
from tagify.concurrency.retry import OUTAGES, Backoff, retry, retry_while_unavailable
from tagify.concurrency.task_supervisor import TaskSupervisor
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import Busy, TagifyError, Unavailable
from tagify.metrics import Metrics
from tagify.model import ImageState, Library, LibraryState
from tagify.settings import IngestSettings
from tagify.terminal import ProgressRate, Terminal

PROGRESS_INTERVAL_S = 0.25
"""Time between two updates of the progress bar, in seconds."""

SERVER_BACKOFF = Backoff(first_s=0.25, longest_s=2.0)
"""Delays while a server does not answer at the start."""

MAX_LISTED_FAILURES = 20
"""Failed files that the summary lists; more are only mentioned."""


async def import_once(settings: IngestSettings, folder: Path) -> int:
    """Import the folder as a library, or scan the library that contains it; the exit status.

    0 when all images are imported; 1 when some are not decodable. Where a running daemon holds the lease of
    the library, that daemon scans it and this process shows the progress. Raises TagifyError.
    """
    terminal = Terminal(sys.stderr)
    metrics = Metrics()
    container = Container(settings, metrics, TaskSupervisor(metrics))
    OUTAGES.set(container.outages)
    await _wait_for_servers(container, terminal)
    library = await _find_or_create_library(container, folder)
    container.supervisor.only_library = library.id
    ingest_task = asyncio.create_task(container.run())
    try:
        return await _while_running(ingest_task, lambda: _import(container, library, terminal))
    finally:
        await cancel_and_wait(ingest_task)
        await container.close()


async def _wait_for_servers(container: Container, terminal: Terminal) -> None:
    """Wait until MongoDB and the S3 server answer; prints which one it waits for."""
    await _wait_for("MongoDB", container.catalog.ping, terminal)
    await container.catalog.ensure_indexes()
    await _wait_for("the S3 server", container.store.ensure_buckets, terminal)


async def _wait_for(server: str, probe: Callable[[], Awaitable[None]], terminal: Terminal) -> None:
    def print_first(failures: int, error: Exception) -> None:
        if failures == 1:
            terminal.print_line(f"waiting for {server}: {error}")

    await retry(probe, on=(Unavailable, Busy), backoff=SERVER_BACKOFF, on_failure=print_first)


async def _find_or_create_library(container: Container, folder: Path) -> Library:
    if not await container.threads.of(str(folder)).probe(folder.is_dir):
        raise TagifyError(f"{folder} is not a folder; pass a folder of images")
    for library in await container.catalog.libraries.list_all():
        if folder.is_relative_to(library.path):
            return library
        if Path(library.path).is_relative_to(folder):
            raise TagifyError(
                f"{folder} contains the library at {library.path}; import that one, or remove it"
            )
        if await _has_moved_to(container.threads, folder, library):
            raise TagifyError(
                f"{folder} is the folder of the library {library.name}, which was at {library.path}: "
                f"tagify libraries move {library.id} {folder}"
            )
    return await container.catalog.libraries.create(folder.name or "root", str(folder))


async def _has_moved_to(threads: LibraryThreadPools, folder: Path, library: Library) -> bool:
    """Whether the folder is that of a library that was at another path. Raises NotAnswering."""
    is_here = await threads.of(str(folder)).probe(is_root_of, str(folder), library)
    if library.state is LibraryState.REMOVING or not is_here:
        return False
    return not await threads.of(library.path).probe(is_root_of, library.path, library)


async def _while_running(ingest_task: asyncio.Task[None], work: Callable[[], Awaitable[int]]) -> int:
    """The result of `work`. Raises the error of the ingest task if that ends first."""
    task = asyncio.ensure_future(work())
    await asyncio.wait({ingest_task, task}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        await cancel_and_wait(task)
        ingest_task.result()
        raise TagifyError("the import was interrupted")
    return await task


async def _import(container: Container, library: Library, terminal: Terminal) -> int:
    before = await container.catalog.libraries.request_rescan(library.id) or library
    started, rate = time.monotonic(), ProgressRate()
    while True:
        current = await retry_while_unavailable(
            "catalog", lambda: container.catalog.libraries.get(library.id)
        )
        if current is None:
            raise TagifyError("the library was removed during the import")
        if current.state is LibraryState.SUSPENDED:
            raise TagifyError(current.scan_error)
        if current.last_scanned != before.last_scanned and not current.scanning:
            return await _print_summary(container, before, current, time.monotonic() - started, terminal)
        speed = rate.describe(current.scan_done, current.scan_total)
        terminal.progress_bar("importing", current.scan_done, current.scan_total, speed)
        await asyncio.sleep(PROGRESS_INTERVAL_S)


async def _print_summary(
    container: Container, before: Library, current: Library, seconds: float, terminal: Terminal
) -> int:
    failed_only = ImageFilter(library_id=current.id, state=ImageState.FAILED)
    failed = await container.catalog.listing.newest(failed_only, limit=MAX_LISTED_FAILURES + 1)
    for image in failed[:MAX_LISTED_FAILURES]:
        terminal.print_line(f"  ✗ {image.file.path}: {image.error}")
    if len(failed) > MAX_LISTED_FAILURES:
        terminal.print_line("  ✗ and more")
    new = current.indexed_count - before.indexed_count
    terminal.print_line(
        f"{current.indexed_count} images in {current.name}, {new} of them new, in {seconds:.1f} s"
    )
    if current.pending_deletions:
        terminal.print_line(
            f"{current.pending_deletions} deletions wait for approval: tagify libraries approve"
        )
    return 1 if failed else 0
