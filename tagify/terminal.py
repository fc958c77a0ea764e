"""Terminal output of `tagify up`: one line per step; a status line if stderr is a terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_CLEAR_LINE = "\r\x1b[2K"


class Terminal:
    """Prints lines, timed steps and a status line that is overwritten in place."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._is_tty = out.isatty()
        self._status_shown = False

    def print_line(self, text: str) -> None:
        """Print a line."""
        self._clear_status()
        self._out.write(text + "\n")
        self._out.flush()

    def show_status(self, text: str) -> None:
        """Overwrite the status line; does nothing if the output is not a terminal."""
        if self._is_tty:
            self._out.write(_CLEAR_LINE + text)
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

    def progress_bar(self, title: str, done: int, total: int) -> None:
        """Show progress in the status line."""
        width = 24
        filled = width * done // total if total else 0
        self.show_status(f"  … {title} [{'█' * filled}{' ' * (width - filled)}] {done:,} of {total:,}")

    def _clear_status(self) -> None:
        if self._status_shown:
            self._out.write(_CLEAR_LINE)
            self._status_shown = False
