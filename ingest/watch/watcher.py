"""The watches of the process, and what each hears."""

import asyncio
import errno
import logging
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
from watchdog.observers.api import ObservedWatch

from ingest.paths import Exclusions, is_image_name, is_sidecar_name, to_catalog
from ingest.watch.debounce import EventKind, PathEvent
from ingest.watch.event_buffer import EventBuffer
from ingest.watch.inotify import Terms, TreeObserver
from tagify.concurrency.thread_pool import ThreadPool
from tagify.errors import TagifyError

logger = logging.getLogger(__name__)

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
    """The kernel will not watch this folder; the message says why and what to do."""


class _Handler(FileSystemEventHandler):
    def __init__(self, root: str, exclusions: Exclusions, inbox: EventBuffer) -> None:
        self._root = root
        self._exclusions = exclusions
        self._inbox = inbox

    def dispatch(self, event: FileSystemEvent) -> None:
        match event:
            case FileMovedEvent() | DirMovedEvent():
                # Where it is now first: whoever takes notes in between sees a move, not a loss.
                self._note(event.dest_path, EventKind.CLOSED, event.is_directory)
                self._note(event.src_path, EventKind.DELETED, event.is_directory)
            case FileClosedEvent():
                self._note(event.src_path, EventKind.CLOSED, False)
            case FileModifiedEvent():
                self._note(event.src_path, EventKind.MODIFIED, False)
            case FileDeletedEvent() | DirDeletedEvent():
                self._note(event.src_path, EventKind.DELETED, event.is_directory)
            case _:
                self._note(event.src_path, EventKind.CREATED, event.is_directory)

    def _note(self, place: bytes | str, sign: EventKind, is_folder: bool) -> None:
        full = os.fsdecode(place)
        if full == self._root:
            path = ""
        elif full.startswith(self._root + os.sep):
            path = full[len(self._root) + 1 :]
        else:
            return
        is_ours = is_folder or is_image_name(path) or is_sidecar_name(path)
        if is_ours and not self._exclusions.matches_path(path):
            self._inbox.add(PathEvent(to_catalog(path), sign))


class Watch:
    """One watched library. `wait` for something to happen, then `take` the notes."""

    def __init__(self, root: str, exclusions: Exclusions) -> None:
        loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self.root = root
        self.buffer = EventBuffer(partial(loop.call_soon_threadsafe, self._event.set))
        self.handler = _Handler(root, exclusions, self.buffer)
        self.terms = Terms(exclusions.matches_name, self._leave_unwatched, self.buffer.mark_lost, self._break)
        self.is_broken = False
        self.observed: ObservedWatch | None = None
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

    def _leave_unwatched(self, folder: str) -> None:
        with self._lock:
            self._unwatched.add(to_catalog(os.path.relpath(folder, self.root)))

    def _break(self) -> None:
        self.is_broken = True

    async def wait(self, timeout_s: float) -> None:
        """Return when something was noted, or after the time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return

    def drain(self) -> tuple[list[PathEvent], bool]:
        """All notes so far, and whether others were lost."""
        self._event.clear()
        return self.buffer.drain()


class Watcher:
    """All watches of the process. Its calls walk folders, so they run in a thread."""

    def __init__(self) -> None:
        self._observer = TreeObserver()
        self._threads = ThreadPool("watcher", 1)

    async def start(self) -> None:
        """Begin to read events."""
        self._observer.start()

    async def add_watch(self, watch: Watch) -> None:
        """Watch the folder and all below it that is not excluded. Raises WatchRefused."""
        self._observer.terms[watch.root] = watch.terms
        try:
            watch.observed = await self._threads.run(
                self._observer.schedule, watch.handler, watch.root, recursive=True, event_filter=_EVENTS
            )
        except OSError as error:
            raise WatchRefused(_why_not_watched(watch.root, error)) from error

    async def add_missing_watches(self, watch: Watch) -> None:
        """Watch any folder of it that is not watched, as after many renames at once."""
        with suppress(OSError):
            await self._threads.run(self._observer.complete, watch.root)

    async def remove_watch(self, watch: Watch) -> None:
        """Watch it no longer."""
        if watch.observed is not None:
            observed, watch.observed = watch.observed, None
            try:
                await self._threads.run(self._observer.unschedule, observed)
            except (KeyError, OSError):
                logger.debug("the watch had ended by itself")

    def is_intact(self, watch: Watch) -> bool:
        """Whether the kernel still reports on this folder, and on each by its name.

        A root that is deleted or unmounted ends its watch; folders that are renamed faster than
        they can be watched break it.
        """
        return not watch.is_broken and any(
            emitter.watch == watch.observed and emitter.is_alive() for emitter in self._observer.emitters
        )

    async def close(self) -> None:
        """End all watches and their threads."""
        await self._threads.run(self._stop)
        await self._threads.close()

    def _stop(self) -> None:
        self._observer.stop()
        self._observer.join()


def _why_not_watched(root: str, error: OSError) -> str:
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
