"""Recursive inotify watches of a folder: all subfolders but the excluded ones, up to the kernel's limit.

watchdog's own group of watches takes every folder, and silently skips those that the kernel refuses. So the
observer's emitters create our group in its place.
"""

import errno
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD, Mask

from ingest.watch._compat import REFUSED, EventReader, GroupEmitter, WatchGroup

logger = logging.getLogger(__name__)

# A folder found under a second path is reported as broken (below); watchdog would only print a warning.
warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning)


class TreeListener(Protocol):
    """Decides what is watched, and receives what the watches of one root cannot see. From any thread."""

    def is_excluded(self, name: str) -> bool:
        """Whether folders of this name are not watched."""
        ...

    def on_folder_unwatched(self, path: str) -> None:
        """The kernel refused to watch this folder."""
        ...

    def on_events_lost(self) -> None:
        """The kernel lost events."""
        ...

    def on_watch_broken(self) -> None:
        """Events may be missing or have wrong paths until all watches are re-created."""
        ...


class _Tree(WatchGroup):
    """The watches of one root."""

    def __init__(self, fd: InotifyFD, root: bytes, mask: Mask, listener: TreeListener) -> None:
        self._listener = listener
        super().__init__(fd, root, mask)

    def on_queue_overflow(self) -> None:
        """The kernel lost events; folders created meanwhile get their watches here."""
        super().on_queue_overflow()
        self._listener.on_events_lost()

    def on_event(self, event: InotifyEvent) -> None:
        """An unmount removes the watches, and a later mount does not restore them.

        A folder that was moved while its watches were added may hold folders without one.
        """
        if event.mask & InotifyConstants.IN_UNMOUNT:
            self._listener.on_watch_broken()
        super().on_event(event)
        if event.is_moved_to and event.is_directory:
            path = self.path_of(event)
            if path is not None:
                self.add_missing(path)

    def mark_broken(self) -> None:
        """The state of the watches is unknown."""
        self._listener.on_watch_broken()

    def add_tree(self, path: bytes) -> None:
        """Watch a folder and those below it that are not excluded."""
        for folder in _folders(path, self._is_excluded):
            self._watch_folder(folder)

    def _is_excluded(self, path: bytes) -> bool:
        return path != self.path and self._listener.is_excluded(os.path.basename(os.fsdecode(path)))  # noqa: PTH119

    def _watch_folder(self, path: bytes) -> None:
        try:
            watch = self.add_watch(path)
        except OSError as error:
            if path == self.path:
                raise
            if error.errno == errno.ENOSPC:
                self._listener.on_folder_unwatched(os.fsdecode(path))
            return
        if watch == REFUSED:
            self._listener.on_folder_unwatched(os.fsdecode(path))
            return
        if not self.record_watch(path, watch):
            # The folder was renamed before its first path was watched, or has replaced another one.
            self._listener.on_watch_broken()


def _folders(path: bytes, is_excluded: Callable[[bytes], bool]) -> Iterator[bytes]:
    """The folder and those below it; no symbolic links, nothing below an excluded folder."""
    if is_excluded(path):
        return
    yield path
    for parent, names, _ in os.walk(path):
        paths = [os.path.join(parent, name) for name in names]  # noqa: PTH118
        included = [
            path
            for path in paths
            if not is_excluded(path) and not os.path.islink(path)  # noqa: PTH114
        ]
        names[:] = [os.path.basename(path) for path in included]  # noqa: PTH119
        yield from included


class _SafeEventReader(EventReader):
    """The thread that reads events. It survives an error in the handling of any event."""

    def handle_event(self, event: InotifyEvent) -> None:
        """Pass the event to the trees that watch its folder."""
        try:
            super().handle_event(event)
        except Exception:
            logger.exception("failed to handle an inotify event; re-creating watches")
            for tree in self.groups():
                if isinstance(tree, _Tree):
                    tree.mark_broken()


class TreeObserver(BaseObserver):
    """An observer of one tree, with its own inotify instance. It reports to the tree's listener."""

    def __init__(self, listener: TreeListener) -> None:
        """Raises OSError where the user has no further inotify instance."""
        self._fd = _SafeEventReader()
        self._fd.start()

        def create_emitter(*arguments: Any, **options: Any) -> InotifyEmitter:
            return _Emitter(listener, *arguments, **options)

        super().__init__(create_emitter, timeout=1, inotify_fd=self._fd)  # type: ignore[arg-type]

    @property
    def is_watching(self) -> bool:
        """Whether the root is watched: its watch ends when it is deleted or unmounted."""
        return any(emitter.is_alive() for emitter in self.emitters)

    def add_missing_watches(self) -> None:
        """Watch the folders of the tree that have no watch. Raises OSError where its root is missing."""
        for emitter in self.emitters:
            if isinstance(emitter, _Emitter):
                emitter.add_missing_watches()

    def close(self) -> None:
        """Remove the watches and end all threads."""
        self.stop()
        if self.is_alive():
            self.join()

    def on_thread_stop(self) -> None:
        """Remove the watches, then stop the thread that reads their events."""
        super().on_thread_stop()
        self._fd.stop()
        self._fd.join()


class _Emitter(GroupEmitter):
    def __init__(self, listener: TreeListener, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._listener = listener

    def add_missing_watches(self) -> None:
        """Watch the folders of the tree that have no watch. Raises OSError where its root is missing."""
        if self.group is not None:
            self.group.add_missing(self.group.path)

    def create_group(self, fd: InotifyFD, root: bytes, mask: Mask) -> WatchGroup:
        """Create the tree of the emitter's root. Raises OSError."""
        return _Tree(fd, root, mask, self._listener)
