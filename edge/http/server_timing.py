"""Where the time of one answer went, for its Server-Timing header."""

import time
from typing import Final

from multidict import istr

SERVER_TIMING: Final = istr("Server-Timing")


class ServerTiming:
    """Laps with names, each from the end of the one before."""

    def __init__(self) -> None:
        self._last_at = time.perf_counter()
        self._metrics: list[tuple[str, float]] = []

    def record(self, name: str) -> None:
        """What was done until now is called this: a token of RFC 9110."""
        now = time.perf_counter()
        self._metrics.append((name, now - self._last_at))
        self._last_at = now

    @property
    def header_value(self) -> str:
        """The header's value, in milliseconds."""
        return ", ".join([f"{name};dur={took_s * 1000:.1f}" for name, took_s in self._metrics])
