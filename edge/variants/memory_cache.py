"""LRU cache of responses in memory, bounded in bytes."""

from collections import OrderedDict

from edge.variants.cached_response import CachedResponse
from tagify.metrics import Gauge

MAX_SHARE_DIVISOR = 8
"""A response larger than the capacity divided by this is not cached: it would evict too many others."""

OVERHEAD_BYTES = 1200
"""Approximate memory of a response besides its body, in bytes."""


class MemoryCache:
    """Responses by path, up to a number of bytes; evicts the least recently used."""

    def __init__(self, capacity_bytes: int, size_gauge: Gauge) -> None:
        self._free_bytes = capacity_bytes
        self._capacity_bytes = capacity_bytes
        self._size_gauge = size_gauge
        self._responses: OrderedDict[str, CachedResponse] = OrderedDict()

    def get(self, path: str) -> CachedResponse | None:
        """The response, or None."""
        response = self._responses.get(path)
        if response is not None:
            self._responses.move_to_end(path)
        return response

    def store(self, path: str, response: CachedResponse) -> None:
        """Store a response, and evict the least recently used to make space."""
        cost = response.size + OVERHEAD_BYTES
        if cost > self._capacity_bytes // MAX_SHARE_DIVISOR:
            return
        self.remove(path)
        self._responses[path] = response
        self._free_bytes -= cost
        while self._free_bytes < 0:
            _, oldest = self._responses.popitem(last=False)
            self._free_bytes += oldest.size + OVERHEAD_BYTES
        self._size_gauge.set(self._capacity_bytes - self._free_bytes)

    def remove(self, path: str) -> None:
        """Remove a response, if it is cached."""
        response = self._responses.pop(path, None)
        if response is not None:
            self._free_bytes += response.size + OVERHEAD_BYTES
            self._size_gauge.set(self._capacity_bytes - self._free_bytes)
