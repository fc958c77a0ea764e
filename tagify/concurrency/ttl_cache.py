"""A bounded memory of small things, by key."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TTLCache(Generic[K, V]):
    """Up to `size` values, each for `lifetime_s` seconds; the least recently used goes first."""

    def __init__(self, size: int, lifetime_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """The value, or None where there is none or it is too old."""
        found = self._values.get(key)
        if found is None:
            return None
        if self._clock() >= found[0]:
            del self._values[key]
            return None
        self._values.move_to_end(key)
        return found[1]

    def put(self, key: K, value: V) -> None:
        """Keep the value from now on."""
        self._values[key] = (self._clock() + self._lifetime_s, value)
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)

    def remove(self, key: K) -> None:
        """Keep it no longer."""
        self._values.pop(key, None)
