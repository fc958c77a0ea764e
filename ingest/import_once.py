"""`python -m ingest --once PATH`: take in a folder, say what became of it, and end."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from ingest.container import Container
from tagify.catalog import ImageFilter
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import TagifyError
from tagify.metrics import Metrics
from tagify.model import ImageState, Library, LibraryState
from tagify.settings import IngestSettings
from tagify.terminal import Terminal

PROGRESS_INTERVAL_S = 0.25
"""Time between two looks at how far it is, in seconds."""

MAX_LISTED_FAILURES = 20
"""Files that could not be decoded that are named, at most."""


async def import_once(settings: IngestSettings, folder: Path) -> int:
    """Import the folder as a library, or scan the library that it is in; the exit status.

    0 when all images are in; 1 when some could not be decoded, or nothing could be done. Where a
    daemon keeps the library already, that one does the work.
    """
    terminal = Terminal(sys.stderr)
    parts = Container(settings, Metrics())
    await parts.catalog.ensure_indexes()
    library = await _library(parts, folder)
    parts.supervisor.only_library = library.id
    working = asyncio.create_task(parts.run())
    try:
        return await _while_it_works(working, lambda: _import(parts, library, terminal))
    finally:
        await cancel_and_wait(working)
        await parts.close()


async def _library(parts: Container, folder: Path) -> Library:
    if not await asyncio.to_thread(folder.is_dir):
        raise TagifyError(f"{folder} is no folder; name one that holds images")
    for library in await parts.catalog.libraries.list_all():
        if folder.is_relative_to(library.path):
            return library
        if Path(library.path).is_relative_to(folder):
            raise TagifyError(f"the library at {library.path} lies in {folder}; import that, or remove it")
    return await parts.catalog.libraries.create(folder.name or "root", str(folder))


async def _while_it_works(working: asyncio.Task[None], work: Callable[[], Awaitable[int]]) -> int:
    """The outcome of `work`, or the error with which the daemon's own work ended."""
    task = asyncio.ensure_future(work())
    await asyncio.wait({working, task}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        await cancel_and_wait(task)
        working.result()
        raise TagifyError("the import ended before it was done")
    return await task


async def _import(parts: Container, library: Library, terminal: Terminal) -> int:
    before = await parts.catalog.libraries.request_rescan(library.id) or library
    started = time.monotonic()
    while True:
        now = await parts.catalog.libraries.get(library.id)
        if now is None:
            raise TagifyError("the library was removed meanwhile")
        if now.state is LibraryState.SUSPENDED:
            raise TagifyError(now.scan_error)
        if now.last_scanned != before.last_scanned and not now.scanning:
            return await _summary(parts, before, now, time.monotonic() - started, terminal)
        _show(now, time.monotonic() - started, terminal)
        await asyncio.sleep(PROGRESS_INTERVAL_S)


def _show(library: Library, seconds: float, terminal: Terminal) -> None:
    done, total = library.scan_done, library.scan_total
    if not done:
        terminal.progress_bar("importing", done, total)
        return
    rate = done / seconds
    terminal.progress_bar(f"importing, {rate:.0f} images/s, {(total - done) / rate:.0f} s left", done, total)


async def _summary(
    parts: Container, before: Library, now: Library, seconds: float, terminal: Terminal
) -> int:
    which = ImageFilter(library_id=now.id, state=ImageState.FAILED)
    failed = await parts.catalog.listing.newest(which, limit=MAX_LISTED_FAILURES + 1)
    for image in failed[:MAX_LISTED_FAILURES]:
        terminal.print_line(f"  ✗ {image.file.path}: {image.error}")
    if len(failed) > MAX_LISTED_FAILURES:
        terminal.print_line("  ✗ and more")
    new = now.indexed_count - before.indexed_count
    terminal.print_line(f"{now.indexed_count} images in {now.name}, {new} of them new, in {seconds:.1f} s")
    if now.pending_deletions:
        terminal.print_line(f"{now.pending_deletions} images have lost their files: tagify libraries approve")
    return 1 if failed else 0
