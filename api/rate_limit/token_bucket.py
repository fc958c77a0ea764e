"""A token bucket for each client, in one number each (the generic cell rate algorithm)."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

MOST_CLIENTS = 20_000
"""Clients that are remembered; the one that has been silent for longest is forgotten for a new one."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Whether a request may be answered, and what is left.

    `remaining` requests may follow at once, `full_s` is when all may again, and `retry_s` when the
    next one may; times are in whole seconds.
    """

    allowed: bool
    remaining: int
    full_s: int
    retry_s: int


FLOAT = 1e-9
"""What sums of floats may be off by, in seconds."""


class Buckets:
    """Each client may send `burst` requests at once, and `rate` a second for ever."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.burst = burst
        self.window_s = math.ceil(burst / rate)
        """An empty bucket is full after this time, in seconds."""
        self._each_s = 1 / rate
        self._clock = clock
        # When a client's bucket will be full again; one that is full already need not be remembered.
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, client: str) -> Grant:
        """One request of the client."""
        now = self._clock()
        full_at = max(self._full_at.pop(client, 0.0), now)
        later = full_at + self._each_s
        # FLOAT, lest sums of floats refuse the last one of a burst.
        over = later - now - self.burst * self._each_s - FLOAT
        allowed = over <= 0
        self._remember(client, later if allowed else full_at)
        return Grant(
            allowed=allowed,
            remaining=int(-over / self._each_s) if allowed else 0,
            full_s=math.ceil((later if allowed else full_at) - now - FLOAT),
            retry_s=0 if allowed else max(1, math.ceil(over)),
        )

    def _remember(self, client: str, full_at: float) -> None:
        if len(self._full_at) >= MOST_CLIENTS:
            del self._full_at[next(iter(self._full_at))]
        self._full_at[client] = full_at
