"""`python -m ingest --once PATH`: import a folder, print a summary, and exit."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from ingest.container import Container
from ingest.sync.root_identity import is_root_of
from tagify.catalog import ImageFilter
from tagify.concurrency.task_supervisor import TaskSupervisor
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import TagifyError
from tagify.metrics import Metrics
from tagify.model import ImageState, Library, LibraryState
from tagify.settings import IngestSettings
from tagify.terminal import Terminal

PROGRESS_INTERVAL_S = 0.25
"""Time between two updates of the progress bar, in seconds."""

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
    await container.catalog.ensure_indexes()
    library = await _find_or_create_library(container, folder)
    container.supervisor.only_library = library.id
    ingest_task = asyncio.create_task(container.run())
    try:
        return await _while_running(ingest_task, lambda: _import(container, library, terminal))
    finally:
        await cancel_and_wait(ingest_task)
        await container.close()


async def _find_or_create_library(container: Container, folder: Path) -> Library:
    if not await asyncio.to_thread(folder.is_dir):
        raise TagifyError(f"{folder} is not a folder; pass a folder of images")
    for library in await container.catalog.libraries.list_all():
        if folder.is_relative_to(library.path):
            return library
        if Path(library.path).is_relative_to(folder):
            raise TagifyError(
                f"{folder} contains the library at {library.path}; import that one, or remove it"
            )
        if await asyncio.to_thread(_has_moved_to, folder, library):
            raise TagifyError(
                f"{folder} is the folder of the library {library.name}, which was at {library.path}: "
                f"tagify libraries move {library.id} {folder}"
            )
    return await container.catalog.libraries.create(folder.name or "root", str(folder))


def _has_moved_to(folder: Path, library: Library) -> bool:
    is_removing = library.state is LibraryState.REMOVING
    return not is_removing and is_root_of(str(folder), library) and not is_root_of(library.path, library)


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
    started = time.monotonic()
    while True:
        current = await container.catalog.libraries.get(library.id)
        if current is None:
            raise TagifyError("the library was removed during the import")
        if current.state is LibraryState.SUSPENDED:
            raise TagifyError(current.scan_error)
        if current.last_scanned != before.last_scanned and not current.scanning:
            return await _print_summary(container, before, current, time.monotonic() - started, terminal)
        _show_progress(current, time.monotonic() - started, terminal)
        await asyncio.sleep(PROGRESS_INTERVAL_S)


def _show_progress(library: Library, seconds: float, terminal: Terminal) -> None:
    done, total = library.scan_done, library.scan_total
    if not done:
        terminal.progress_bar("importing", done, total)
        return
    rate = done / seconds
    terminal.progress_bar(f"importing, {rate:.0f} images/s, {(total - done) / rate:.0f} s left", done, total)


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
