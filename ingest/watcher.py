"""What the kernel tells about a folder, as notes. The only file that knows `watchdog`.

The observer's thread does as little as can be: it notes the path. When more is noted than
can be held, or the kernel lost events, the details are dropped and the loss itself is told.
"""

import asyncio
import errno
import logging
import os
import threading
from collections.abc import Callable
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
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from ingest.paths import Exclusions, is_image_name, to_catalog
from ingest.settle import Note, Sign
from tagify.errors import TagifyError
from tagify.threads import Threads

logger = logging.getLogger(__name__)

NOTES_LIMIT = 100_000
"""Notes that are held for the loop; more than that and they are forgotten for a comparison of the tree."""

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


class NotWatched(TagifyError):
    """The kernel will not watch this folder; the message says why and what to do."""


class Inbox:
    """Notes on their way from the observer's thread to the loop."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._lock = threading.Lock()
        self._wake = wake
        self._notes: list[Note] = []
        self._lost = False

    def put(self, note: Note) -> None:
        """From any thread."""
        with self._lock:
            idle = not self._notes and not self._lost
            if len(self._notes) < NOTES_LIMIT:
                self._notes.append(note)
            else:
                self._notes.clear()
                self._lost = True
        if idle:
            self._wake()

    def lose(self) -> None:
        """Events were lost before they came here. From any thread."""
        with self._lock:
            self._lost = True
        self._wake()

    def take(self) -> tuple[list[Note], bool]:
        """All notes so far, and whether others were lost."""
        with self._lock:
            notes, lost = self._notes, self._lost
            self._notes, self._lost = [], False
        return notes, lost


class _Handler(FileSystemEventHandler):
    def __init__(self, root: str, exclusions: Exclusions, inbox: Inbox) -> None:
        self._root = root
        self._exclusions = exclusions
        self._inbox = inbox

    def dispatch(self, event: FileSystemEvent) -> None:
        match event:
            case FileMovedEvent() | DirMovedEvent():
                self._note(event.src_path, Sign.VANISHED, event.is_directory)
                self._note(event.dest_path, Sign.CLOSED, event.is_directory)
            case FileClosedEvent():
                self._note(event.src_path, Sign.CLOSED, False)
            case FileModifiedEvent():
                self._note(event.src_path, Sign.WRITTEN, False)
            case FileDeletedEvent() | DirDeletedEvent():
                self._note(event.src_path, Sign.VANISHED, event.is_directory)
            case _:
                self._note(event.src_path, Sign.APPEARED, event.is_directory)

    def _note(self, place: bytes | str, sign: Sign, is_folder: bool) -> None:
        full = os.fsdecode(place)
        if full == self._root:
            path = ""
        elif full.startswith(self._root + os.sep):
            path = full[len(self._root) + 1 :]
        else:
            return
        if (is_folder or is_image_name(path)) and not self._exclusions.path(path):
            self._inbox.put(Note(to_catalog(path), sign))


class _LossListener(logging.Handler):
    """watchdog notices that the kernel's queue overflowed, and says so in its log alone."""

    def __init__(self, lose: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._lose = lose

    def emit(self, record: logging.LogRecord) -> None:
        if "overflowed" in record.msg:
            self._lose()


class Watch:
    """One watched library. `wait` for something to happen, then `take` the notes."""

    def __init__(self, root: str, exclusions: Exclusions) -> None:
        loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self.root = root
        self.inbox = Inbox(partial(loop.call_soon_threadsafe, self._event.set))
        self.handler = _Handler(root, exclusions, self.inbox)
        self.observed: ObservedWatch | None = None

    async def wait(self, timeout_s: float) -> None:
        """Return when something was noted, or after the time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return

    def take(self) -> tuple[list[Note], bool]:
        """All notes so far, and whether others were lost."""
        self._event.clear()
        return self.inbox.take()


class Watcher:
    """All watches of the process. Its calls walk folders, so they run in a thread."""

    def __init__(self) -> None:
        self._observer: BaseObserver = Observer()
        self._watches: set[Watch] = set()
        self._threads = Threads("watcher", 1)
        self._listener = _LossListener(self._lose)

    async def start(self) -> None:
        """Begin to read events."""
        logging.getLogger("watchdog").addHandler(self._listener)
        self._observer.start()

    async def add(self, watch: Watch) -> None:
        """Watch the folder and all below it. Raises NotWatched."""
        try:
            watch.observed = await self._threads.run(
                self._observer.schedule, watch.handler, watch.root, recursive=True, event_filter=_EVENTS
            )
        except OSError as error:
            raise NotWatched(_why_not_watched(watch.root, error)) from error
        self._watches.add(watch)

    async def remove(self, watch: Watch) -> None:
        """Watch it no longer."""
        self._watches.discard(watch)
        if watch.observed is not None:
            observed, watch.observed = watch.observed, None
            try:
                await self._threads.run(self._observer.unschedule, observed)
            except (KeyError, OSError):
                logger.debug("the watch had ended by itself")

    def is_watching(self, watch: Watch) -> bool:
        """Whether the kernel still reports on this folder; a root that is deleted ends its watch."""
        return any(
            emitter.watch == watch.observed and emitter.is_alive() for emitter in self._observer.emitters
        )

    async def close(self) -> None:
        """End all watches and their threads."""
        logging.getLogger("watchdog").removeHandler(self._listener)
        await self._threads.run(self._stop)
        await self._threads.close()

    def _stop(self) -> None:
        self._observer.stop()
        self._observer.join()

    def _lose(self) -> None:
        for watch in tuple(self._watches):
            watch.inbox.lose()


def _why_not_watched(root: str, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"{root}: more folders than the kernel may watch; it is compared every minute instead. "
            "To have it watched: sudo sysctl fs.inotify.max_user_watches=1048576"
        )
    if error.errno == errno.EMFILE:
        return (
            f"{root}: no further inotify instance for this user; it is compared every minute instead. "
            "To have it watched: sudo sysctl fs.inotify.max_user_instances=1024"
        )
    return f"{root}: cannot be watched: {error.strerror}"
