"""A tree of folders under the kernel's watch: all but the excluded, as far as its limit goes.

watchdog's own group of watches takes every folder, and passes over in silence those that the
kernel refuses. It is made for one observer and is told nothing by it, so ours is handed over
by the observer's emitters, which look it up by the root.
"""

import errno
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD, Mask

from ingest.watch._compat import REFUSED, EventReader, GroupEmitter, WatchGroup

logger = logging.getLogger(__name__)

# A folder that is found again by another name is told as broken (below); watchdog would only print it.
warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a watched tree passes over, and who is told of what it cannot see.

    `lost`: events did not come. `broken`: from now on some may not come, or tell of another folder,
    until all is watched anew.
    """

    is_excluded: Callable[[str], bool]
    unwatched: Callable[[str], None]
    lost: Callable[[], None]
    broken: Callable[[], None]


class _Tree(WatchGroup):
    """One library's watches."""

    def __init__(self, fd: InotifyFD, root: bytes, mask: Mask, terms: Terms) -> None:
        self._terms = terms
        super().__init__(fd, root, mask)

    def on_queue_overflow(self) -> None:
        """The kernel lost events; watches are made anew for folders that appeared meanwhile."""
        super().on_queue_overflow()
        self._terms.lost()

    def on_event(self, event: InotifyEvent) -> None:
        """A file system that goes takes its watches along, and does not bring them back.

        A folder that was moved while it was being watched may hold others that are not.
        """
        if event.mask & InotifyConstants.IN_UNMOUNT:
            self._terms.broken()
        super().on_event(event)
        if event.is_moved_to and event.is_directory:
            path = self.path_of(event)
            if path is not None:
                self.add_missing(path)

    def break_off(self) -> None:
        """What is watched is not known any more."""
        self._terms.broken()

    def add_tree(self, path: bytes) -> None:
        """Watch a folder and those below it that are not excluded."""
        for folder in _folders(path, self._passes_over):
            self._watch_folder(folder)

    def _passes_over(self, path: bytes) -> bool:
        return path != self.path and self._terms.is_excluded(os.path.basename(os.fsdecode(path)))  # noqa: PTH119

    def _watch_folder(self, path: bytes) -> None:
        try:
            watch = self.add_watch(path)
        except OSError as error:
            if path == self.path:
                raise
            if error.errno == errno.ENOSPC:
                self._terms.unwatched(os.fsdecode(path))
            return
        if watch == REFUSED:
            self._terms.unwatched(os.fsdecode(path))
            return
        if not self.record_watch(path, watch):
            # Renamed before it was watched by its first name, or in the place of another.
            self._terms.broken()


def _folders(path: bytes, is_passed_over: Callable[[bytes], bool]) -> Iterator[bytes]:
    """The folder and those below it; no links, nothing below what is passed over."""
    if is_passed_over(path):
        return
    yield path
    for root, names, _ in os.walk(path):
        places = [os.path.join(root, name) for name in names]  # noqa: PTH118
        wanted = [
            place
            for place in places
            if not is_passed_over(place) and not os.path.islink(place)  # noqa: PTH114
        ]
        names[:] = [os.path.basename(place) for place in wanted]  # noqa: PTH119
        yield from wanted


class _Descriptor(EventReader):
    """The thread that reads events goes on whatever an event leads to."""

    def handle_event(self, event: InotifyEvent) -> None:
        """Hand the event to the trees that watch its folder."""
        try:
            super().handle_event(event)
        except Exception:
            logger.exception("an event of the kernel could not be worked in; all is watched anew")
            for tree in self.groups():
                if isinstance(tree, _Tree):
                    tree.break_off()


class TreeObserver(BaseObserver):
    """An observer whose watches keep to their terms. Give `terms` for a root before it is scheduled."""

    def __init__(self) -> None:
        self.terms: dict[str, Terms] = {}
        self._fd = _Descriptor()
        self._fd.start()

        def emitter(*arguments: Any, **options: Any) -> InotifyEmitter:
            return _Emitter(self.terms, *arguments, **options)

        super().__init__(emitter, timeout=1, inotify_fd=self._fd)  # type: ignore[arg-type]

    def complete(self, root: str) -> None:
        """Watch what is not watched of a tree. Raises OSError where its root is not there."""
        for emitter in self.emitters:
            if isinstance(emitter, _Emitter) and os.fsdecode(emitter.watch.path) == root:
                emitter.complete()

    def on_thread_stop(self) -> None:
        """End the watches, then the thread that reads them."""
        super().on_thread_stop()
        self._fd.stop()
        self._fd.join()


class _Emitter(GroupEmitter):
    def __init__(self, terms: dict[str, Terms], *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._terms = terms

    def complete(self) -> None:
        """Watch what is not watched of the tree. Raises OSError where its root is not there."""
        if self.group is not None:
            self.group.add_missing(self.group.path)

    def create_group(self, fd: InotifyFD, root: bytes, mask: Mask) -> WatchGroup:
        """Create the tree of the emitter's root. Raises OSError."""
        return _Tree(fd, root, mask, self._terms[os.fsdecode(root)])
