"""The disk cache of variants: one file per entry, and a size-bounded index. The only user of `diskcache`.

The path of a file follows from its key, so a hit needs no lookup in the index, and a file in the
kernel's page cache is read without a thread. The index (diskcache, SQLite) bounds the size and chooses
what to evict, across processes. A failure of either is counted as a miss, and is never an error for a client.
"""

from edge.cache.disk_cache import DiskCache
from edge.cache.entry import CacheEntry

__all__ = ["CacheEntry", "DiskCache"]
