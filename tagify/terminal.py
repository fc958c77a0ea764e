"""Terminal output of `tagify up`: one line per step; a status line if stderr is a terminal."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from tagify.printable import printable, printable_line

_CLEAR_LINE = "\r\x1b[2K"


RATE_WINDOW_S = 20.0
"""The rate is that of the last seconds: the first files of a scan are no measure of the rest."""

MIN_WINDOW_S = 0.4
"""A shorter time says nothing about the rate, in seconds."""


class ProgressRate:
    """The rate of a job and its time left, from the counts of the last RATE_WINDOW_S seconds."""

    def __init__(self, unit: str = "images", clock: Callable[[], float] = time.monotonic) -> None:
        self._unit = unit
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()

    def describe(self, done: int, total: int) -> str:
        """Record the count; returns `12 images/s, 3 min left`, empty while the rate is unknown."""
        now = self._clock()
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[0][0] > RATE_WINDOW_S:  # noqa: PLR2004
            self._samples.popleft()
        first, done_first = self._samples[0]
        if done <= done_first or now - first < MIN_WINDOW_S:
            return ""
        rate = (done - done_first) / (now - first)
        shown = f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"  # noqa: PLR2004
        return f"{shown} {self._unit}/s, {format_duration((total - done) / rate)} left"


def format_duration(seconds: float) -> str:
    """Format a duration with one or two units: `40 s`, `3 min`, `2 h 10 min`."""
    if seconds < 100:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


class Terminal:
    """Prints lines, timed steps and a status line that is overwritten in place."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._is_tty = out.isatty()
        self._status_shown = False

    def print_line(self, text: str) -> None:
        """Print a line."""
        self._clear_status()
        self._out.write(printable(text) + "\n")
        self._out.flush()

    def show_status(self, text: str) -> None:
        """Overwrite the status line; does nothing if the output is not a terminal."""
        if self._is_tty:
            self._out.write(_CLEAR_LINE + printable_line(text))
            self._out.flush()
            self._status_shown = True

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show a step while it runs, then print it with its duration, or as failed."""
        self.show_status(f"  … {title}")
        start = time.monotonic()
        try:
            yield
        except BaseException:
            self.print_line(f"  ✗ {title}")
            raise
        self.print_line(f"  ✓ {title} ({time.monotonic() - start:.1f} s)")

    def progress_bar(self, title: str, done: int, total: int, speed: str = "") -> None:
        """Show progress in the status line. `speed`: rate and time left."""
        width = 24
        filled = width * done // total if total else 0
        title = f"{title}, {speed}" if speed else title
        self.show_status(f"  … {title} [{'█' * filled}{' ' * (width - filled)}] {done:,} of {total:,}")

    def _clear_status(self) -> None:
        if self._status_shown:
            self._out.write(_CLEAR_LINE)
            self._status_shown = False
