"""What the kernel tells about a folder, as notes. The only room that knows `watchdog`.

The observer's thread does as little as can be: it notes the path. When more is noted than
can be held, or the kernel lost events, the details are dropped and the loss itself is told.
"""

from ingest.watch.watcher import Watch, Watcher, WatchRefused

__all__ = ["Watch", "WatchRefused", "Watcher"]
