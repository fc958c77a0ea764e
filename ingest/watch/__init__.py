"""inotify events of a folder, as PathEvents. The only package that imports `watchdog`.

The observer's thread only records the path. When the buffer is full, or the kernel lost events, the
events are dropped and the loss is reported: the reader then rescans the folder.
"""

from ingest.watch.watcher import Watch, Watcher, WatchRefused

__all__ = ["Watch", "WatchRefused", "Watcher"]
