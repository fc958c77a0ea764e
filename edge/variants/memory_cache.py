"""The hottest answers, in memory: what is here is sent without asking anything else."""

from collections import OrderedDict

from edge.variants.cached_response import CachedResponse
from tagify.metrics import Gauge

MAX_SHARE = 8
"""An answer larger than the whole divided by this would push out too many others."""

OVERHEAD_BYTES = 1200
"""Bytes that an answer takes beside its body, about."""


class MemoryCache:
    """Answers by name, up to a number of bytes; the least recently used goes first."""

    def __init__(self, size_bytes: int, held_bytes: Gauge) -> None:
        self._free = size_bytes
        self._size = size_bytes
        self._held_bytes = held_bytes
        self._responses: OrderedDict[str, CachedResponse] = OrderedDict()

    def get(self, path: str) -> CachedResponse | None:
        """The answer, or None."""
        response = self._responses.get(path)
        if response is not None:
            self._responses.move_to_end(path)
        return response

    def store(self, path: str, response: CachedResponse) -> None:
        """Keep an answer, in place of those that have not been asked for longest."""
        cost = response.size + OVERHEAD_BYTES
        if cost > self._size // MAX_SHARE:
            return
        self.remove(path)
        self._responses[path] = response
        self._free -= cost
        while self._free < 0:
            _, oldest = self._responses.popitem(last=False)
            self._free += oldest.size + OVERHEAD_BYTES
        self._held_bytes.set(self._size - self._free)

    def remove(self, path: str) -> None:
        """Keep it no longer."""
        response = self._responses.pop(path, None)
        if response is not None:
            self._free += response.size + OVERHEAD_BYTES
            self._held_bytes.set(self._size - self._free)
