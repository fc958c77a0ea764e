"""The disk cache of variants: files by name, and a ledger of them. The only room that knows `diskcache`.

A file is found by its key alone, so a hit asks nobody, and one that the kernel has in memory is
read at once. The ledger (diskcache) bounds the size and decides what goes, across processes. A fault
of either costs a miss and a count, never an error to a client.
"""

from edge.cache.disk_cache import DiskCache
from edge.cache.entry import CacheEntry

__all__ = ["CacheEntry", "DiskCache"]
