"""What `tagify up` says: one line for each step, live on a terminal, plain elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_CLEAR = "\r\x1b[2K"


class Terminal:
    """Steps with their time, and one line that changes in place."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._live = out.isatty()
        self._shown = False

    def say(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        self._out.write(text + "\n")
        self._out.flush()

    def show(self, text: str) -> None:
        """A line that the next one replaces; on no terminal nothing."""
        if self._live:
            self._out.write(_CLEAR + text)
            self._out.flush()
            self._shown = True

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A step of some time: named while it lasts, with its time when it is done."""
        self.show(f"  … {what}")
        start = time.monotonic()
        try:
            yield
        except BaseException:
            self.say(f"  ✗ {what}")
            raise
        self.say(f"  ✓ {what} ({time.monotonic() - start:.1f} s)")

    def bar(self, what: str, done: int, total: int) -> None:
        """How far something is, in place."""
        width = 24
        filled = width * done // total if total else 0
        self.show(f"  … {what} [{'█' * filled}{' ' * (width - filled)}] {done:,} of {total:,}")

    def _clear(self) -> None:
        if self._shown:
            self._out.write(_CLEAR)
            self._shown = False
