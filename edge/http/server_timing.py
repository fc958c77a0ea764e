"""Where the time of one answer went, for its Server-Timing header."""

import time
from typing import Final

from multidict import istr

SERVER_TIMING: Final = istr("Server-Timing")


class Stopwatch:
    """Laps with names, each from the end of the one before."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._laps: list[tuple[str, float]] = []

    def lap(self, name: str) -> None:
        """What was done until now is called this: a token of RFC 9110."""
        now = time.perf_counter()
        self._laps.append((name, now - self._last))
        self._last = now

    @property
    def header(self) -> str:
        """The header's value, in milliseconds."""
        return ", ".join([f"{name};dur={took_s * 1000:.1f}" for name, took_s in self._laps])
