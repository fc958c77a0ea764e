"""Moves that may not be in the catalog yet, in any library of this process.

A new file may have the content of an image whose file has left its path. It may be that file, moved to
another disk, or a copy of it, while the file itself was renamed, which an event or a scan finds a moment
later. The image follows its own file: until every move is written, no copy takes the image.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from weakref import WeakSet

from ingest.library_threads import LibraryThreads, NotAnswering
from ingest.sync.walk import stat_file
from ingest.watch.debounce import Debouncer
from tagify.model import CatalogEntry

PATHS_LIMIT = 500
"""Pending paths that are looked at for the file of an image. More are an import of many files."""

FOLDERS_LIMIT = 5
"""Images whose files are looked for below a renamed folder: of those with one content."""


class LibraryMoves:
    """The moves of one library: whether its scan or its event follower is looking for some."""

    def __init__(self, root: str, debouncer: Debouncer, threads: LibraryThreads) -> None:
        self._root = root
        self._debouncer = debouncer
        self._threads = threads
        self._searches = 0
        self._is_running = False
        self._scan_expected = False
        self._written: asyncio.Future[None] | None = None

    @property
    def is_searching(self) -> bool:
        """Whether moves are being looked for, or will be by a scan that is about to start."""
        return self._searches > 0 or self._scan_expected

    def start(self) -> None:
        """The library's worker has started: its first scan finds what happened while it did not run."""
        self._is_running = self._scan_expected = True

    def cancel_scan(self) -> None:
        """The first scan is not made, because the library is suspended."""
        self._scan_expected = False
        self._resolve()

    def stop(self) -> None:
        """The worker has ended, and looks for no moves until it starts again."""
        self._is_running = False
        self.cancel_scan()

    @contextmanager
    def search(self, *, scan: bool = False) -> Iterator[None]:
        """Moves are being looked for inside this context, and are written at its end."""
        self._searches += 1
        try:
            yield
        finally:
            self._searches -= 1
            self._scan_expected = self._scan_expected and not scan
            self._resolve()

    def written(self) -> asyncio.Future[None]:
        """A future that is resolved when the moves that are being looked for are written."""
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        return self._written

    async def has_pending(self, entries: Sequence[CatalogEntry]) -> bool:
        """Whether the file of one of these images is at a path whose events are not reconciled yet."""
        if not self._is_running or not len(self._debouncer):
            return False
        paths = list(islice(self._debouncer.pending_paths(), PATHS_LIMIT))
        with suppress(NotAnswering):
            return await self._threads.check(_is_any_at, self._root, paths, entries)
        return False

    def _resolve(self) -> None:
        if not self.is_searching and self._written is not None:
            self._written.set_result(None)
            self._written = None


class PendingMoves:
    """The moves of all libraries of this process."""

    def __init__(self) -> None:
        self._libraries: WeakSet[LibraryMoves] = WeakSet()

    def add(self, moves: LibraryMoves) -> None:
        """Add the moves of one library, for as long as its worker exists."""
        self._libraries.add(moves)

    @property
    def is_searching(self) -> bool:
        """Whether any library is looking for moves. A scan of a large one does for minutes."""
        return any(moves.is_searching for moves in self._libraries)

    async def of(self, entries: Sequence[CatalogEntry]) -> asyncio.Future[None] | None:
        """When the files of these images, which have left their paths, are found if they have moved.

        None: no move is pending, or not one of these files.
        """
        for moves in tuple(self._libraries):
            if moves.is_searching or await moves.has_pending(entries):
                return moves.written()
        return None


def _is_any_at(root: str, paths: Sequence[str], entries: Sequence[CatalogEntry]) -> bool:
    for path in paths:
        for candidate in _candidates(path, entries):
            with suppress(OSError):
                file = stat_file(root, candidate)
                if file and any(entry.file.same_file_as(file) for entry in entries):
                    return True
    return False


def _candidates(path: str, entries: Sequence[CatalogEntry]) -> Iterator[str]:
    """The path itself, and where the files would be if it were a folder of theirs that was renamed."""
    yield path
    for entry in entries[:FOLDERS_LIMIT]:
        parts = entry.file.path.split("/")
        yield from ("/".join((path, *parts[start:])) for start in range(1, len(parts)))
