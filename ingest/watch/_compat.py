"""Private parts of watchdog's inotify observer that the watcher uses; no other module touches them.

Checked with watchdog 7.1.0. The bound in pyproject.toml is the next minor version: compare the names below
with a new one and run the tests of ingest's watching, then raise it.

Reason: watchdog's group of watches adds every folder, and silently skips those that the kernel refuses. It
has no way to exclude a folder, to report a refused one, or to add watches later.
"""

import os

from watchdog.observers.inotify import InotifyEmitter, InotifyWatchGroup
from watchdog.observers.inotify_c import InotifyEvent, InotifyFD, Mask, WatchCallback, WatchDescriptor

REFUSED = WatchDescriptor(-1)
"""The result of `InotifyFD.add_callback` for a folder without permission to watch it."""


class WatchGroup(InotifyWatchGroup):
    """The watches of one tree. A subclass chooses the folders in `add_tree`.

    - `_add_all_callbacks(path)` adds the watches of a folder and those below it, with `_lock` held: when the
      group is created, when a folder appears, and after an overflow of the event queue.
    - `_lock` guards the two maps below.
    - `_active_callbacks_by_watch` and `_active_callbacks_by_path` map watches to paths and back.
    - `_build_event_source_path(event)` is the path of an event; `_lock` must be held.
    - `_inotify_fd.add_callback` adds a watch; `_callback` and `_id` are its arguments.
    """

    __hash__ = object.__hash__

    def __init__(self, fd: InotifyFD, root: bytes, mask: Mask) -> None:
        """Add the watches of the whole tree: `add_tree` is called from here. Raises OSError."""
        super().__init__(fd, root, event_mask=mask, is_recursive=True)

    def add_tree(self, path: bytes) -> None:
        """Add the watches of a folder and those below it; the lock is held."""
        raise NotImplementedError

    def add_missing(self, path: bytes) -> None:
        """Add the watches that a folder and those below it lack, unless the group is closed."""
        with self._lock:
            if self.is_active:
                self.add_tree(path)

    def path_of(self, event: InotifyEvent) -> bytes | None:
        """The path of an event; None if its watch was removed."""
        with self._lock:
            return self._build_event_source_path(event)

    def add_watch(self, path: bytes) -> WatchDescriptor:
        """Have the kernel watch a folder; REFUSED without permission. The lock is held. Raises OSError."""
        return self._inotify_fd.add_callback(path, self.event_mask, self._callback, self._id)

    def record_watch(self, path: bytes, watch: WatchDescriptor) -> bool:
        """Map the watch to the path; False if either had another partner. The lock is held."""
        is_consistent = (
            self._active_callbacks_by_watch.get(watch, path) == path
            and self._active_callbacks_by_path.get(path, watch) == watch
        )
        self._active_callbacks_by_path[path] = watch
        self._active_callbacks_by_watch[watch] = path
        return is_consistent

    def _add_all_callbacks(self, path: bytes) -> None:
        self.add_tree(path)


class EventReader(InotifyFD):
    """The thread that reads events of the kernel, for all groups of an observer.

    `InotifyFD._watch_for_wd`: its watches by their descriptors. `InotifyFD._lock` guards it.
    """

    def groups(self) -> set[WatchGroup]:
        """The groups that have a watch."""
        with self._lock:
            callbacks: list[WatchCallback] = [
                callback for watch in self._watch_for_wd.values() for callback in watch.callbacks.values()
            ]
        return {callback for callback in callbacks if isinstance(callback, WatchGroup)}


class GroupEmitter(InotifyEmitter):
    """An emitter whose group of watches a subclass creates.

    `InotifyEmitter._inotify`: the group, which `on_thread_start` creates and the emitter reads from.
    `InotifyEmitter._inotify_fd`: the reader that the observer was created with.
    """

    def create_group(self, fd: InotifyFD, root: bytes, mask: Mask) -> WatchGroup:
        """Create the group of the emitter's root. Raises OSError."""
        raise NotImplementedError

    @property
    def group(self) -> WatchGroup | None:
        """The group; None before the start and after the end."""
        return self._inotify if isinstance(self._inotify, WatchGroup) else None

    def on_thread_start(self) -> None:
        """Create the group. Raises OSError."""
        root = os.fsencode(self.watch.path)
        self._inotify = self.create_group(self._inotify_fd, root, self.get_event_mask_from_filter())
