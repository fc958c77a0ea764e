"""The Server-Timing header: where the time of one response was spent."""

import time
from typing import Final

from multidict import istr

SERVER_TIMING: Final = istr("Server-Timing")


class ServerTiming:
    """Measures consecutive phases of one request."""

    def __init__(self) -> None:
        self._last_at = time.perf_counter()
        self._phases: list[tuple[str, float]] = []

    def record(self, name: str) -> None:
        """Record the time since the previous phase under this name: a token of RFC 9110."""
        now = time.perf_counter()
        self._phases.append((name, now - self._last_at))
        self._last_at = now

    @property
    def header_value(self) -> str:
        """The value of the header, in milliseconds."""
        return ", ".join([f"{name};dur={took_s * 1000:.1f}" for name, took_s in self._phases])
