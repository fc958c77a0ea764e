"""The watch of a library: translates its inotify events to PathEvents."""

import asyncio
import errno
import os
import threading
from contextlib import suppress
from functools import partial

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)

from ingest.library_threads import CLOSE_S, LibraryThreads, NotAnswering
from ingest.paths import Exclusions, is_image_name, is_sidecar_name, to_catalog
from ingest.watch.debounce import EventKind, PathEvent
from ingest.watch.event_buffer import EventBuffer
from ingest.watch.inotify import TreeObserver
from tagify.errors import TagifyError

_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]


class WatchRefused(TagifyError):
    """The kernel refused to watch this folder; the message says why and what to do."""


class _Handler(FileSystemEventHandler):
    """Passes the events of images, sidecars and folders to the buffer. Called in the observer's thread."""

    def __init__(self, root: str, exclusions: Exclusions, buffer: EventBuffer) -> None:
        self._root = root
        self._exclusions = exclusions
        self._buffer = buffer

    def dispatch(self, event: FileSystemEvent) -> None:
        match event:
            case FileMovedEvent() | DirMovedEvent():
                # The new path first: a drain between the two then leads to a move, not a deletion.
                self._add(event.dest_path, EventKind.CLOSED, event.is_directory)
                self._add(event.src_path, EventKind.DELETED, event.is_directory)
            case FileClosedEvent():
                self._add(event.src_path, EventKind.CLOSED, False)
            case FileModifiedEvent():
                self._add(event.src_path, EventKind.MODIFIED, False)
            case FileDeletedEvent() | DirDeletedEvent():
                self._add(event.src_path, EventKind.DELETED, event.is_directory)
            case _:
                self._add(event.src_path, EventKind.CREATED, event.is_directory)

    def _add(self, raw_path: bytes | str, kind: EventKind, is_folder: bool) -> None:
        absolute_path = os.fsdecode(raw_path)
        if absolute_path == self._root:
            path = ""
        elif absolute_path.startswith(self._root + os.sep):
            path = absolute_path[len(self._root) + 1 :]
        else:
            return
        is_relevant = is_folder or is_image_name(path) or is_sidecar_name(path)
        if is_relevant and not self._exclusions.matches_path(path):
            self._buffer.add(PathEvent(to_catalog(path), kind))


class Watch:
    """The watch of one library's root. `wait` for events, then `drain` them. Implements TreeListener."""

    def __init__(self, root: str, exclusions: Exclusions) -> None:
        loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._exclusions = exclusions
        self.root = root
        self.buffer = EventBuffer(partial(loop.call_soon_threadsafe, self._event.set))
        self.handler = _Handler(root, exclusions, self.buffer)
        self.is_broken = False
        self._unwatched: set[str] = set()
        self._lock = threading.Lock()

    @property
    def unwatched_reason(self) -> str:
        """Why folders are not watched and how to change it, for the log."""
        return (
            f"{self.root}: {len(self.unwatched_folders)} folders exceed the kernel's limit of watches "
            "or are not readable; they are polled. "
            "To have them watched: sudo sysctl fs.inotify.max_user_watches=1048576"
        )

    @property
    def unwatched_folders(self) -> frozenset[str]:
        """Folders, relative to the root, that the kernel does not report on."""
        with self._lock:
            return frozenset(self._unwatched)

    def is_excluded(self, name: str) -> bool:
        """Whether folders of this name are not watched."""
        return self._exclusions.matches_name(name)

    def on_folder_unwatched(self, path: str) -> None:
        """Record a folder that must be polled."""
        with self._lock:
            self._unwatched.add(to_catalog(os.path.relpath(path, self.root)))

    def on_events_lost(self) -> None:
        """Record that events were lost."""
        self.buffer.mark_lost()

    def on_watch_broken(self) -> None:
        """Record that the watch must be re-created."""
        self.is_broken = True

    async def wait(self, timeout_s: float) -> None:
        """Return when there are events, or after the timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return

    def drain(self) -> tuple[list[PathEvent], bool]:
        """Remove and return all events, and whether others were lost."""
        self._event.clear()
        return self.buffer.drain()


class Watcher:
    """Keeps one watch of a library's root, with an inotify instance and threads for it alone.

    A file system that hangs blocks the thread that reads the events of its folders, and so those of no other
    library.
    """

    def __init__(self, threads: LibraryThreads) -> None:
        self._threads = threads
        self._observer: TreeObserver | None = None

    async def add_watch(self, watch: Watch) -> None:
        """Watch the root and the folders below it, unless excluded. Raises WatchRefused, NotAnswering."""
        try:
            self._observer = await self._threads.watch(_observe, watch)
        except OSError as error:
            raise WatchRefused(_refusal_reason(watch.root, error)) from error

    async def add_missing_watches(self) -> None:
        """Watch the folders below the root that have no watch, as after many renames in a short time.

        Raises NotAnswering.
        """
        if self._observer is not None:
            with suppress(OSError):
                await self._threads.watch(self._observer.add_missing_watches)

    async def remove_watch(self) -> None:
        """Stop watching; its threads end when the file system answers."""
        if self._observer is not None:
            observer, self._observer = self._observer, None
            with suppress(TimeoutError, NotAnswering, OSError):
                async with asyncio.timeout(CLOSE_S):
                    await self._threads.watch(observer.close)

    def is_intact(self, watch: Watch) -> bool:
        """Whether the kernel still reports on the root, and on each folder by its present path.

        The watch ends when its root is deleted or unmounted; it breaks when folders are renamed faster
        than they can be watched.
        """
        return self._observer is not None and not watch.is_broken and self._observer.is_watching


def _observe(watch: Watch) -> TreeObserver:
    """An observer of one tree. Raises OSError."""
    observer = TreeObserver(watch)
    try:
        observer.start()
        observer.schedule(watch.handler, watch.root, recursive=True, event_filter=_EVENTS)
    except BaseException:
        observer.close()
        raise
    return observer


def _refusal_reason(root: str, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"{root}: more folders than the kernel may watch; it is polled instead. "
            "To have it watched: sudo sysctl fs.inotify.max_user_watches=1048576"
        )
    if error.errno == errno.EMFILE:
        return (
            f"{root}: no further inotify instance for this user; it is polled instead. "
            "To have it watched: sudo sysctl fs.inotify.max_user_instances=1024"
        )
    return f"{root}: cannot be watched: {error.strerror}"
