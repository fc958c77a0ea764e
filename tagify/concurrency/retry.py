"""Waiting for a server that is away: nothing is dropped, and it is said once."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from tagify.errors import Busy, Unavailable
from tagify.logs import fields
from tagify.metrics import Gauge

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 15.0


class OutageTracker:
    """What a daemon waits for now: the first call that waits says so, and the last that goes on."""

    def __init__(self, gauge: Gauge | None = None) -> None:
        """`gauge`: calls that wait, by what for."""
        self._gauge = gauge
        self._calls: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}
        for what in ("catalog", "objects", "lease"):
            self._count(what, 0)

    @property
    def reasons(self) -> str:
        """Which servers are waited for and why, in a line; empty where none is."""
        return "; ".join(f"{what}: {reason}" for what, reason in self._reasons.items())

    @contextmanager
    def counted(self, what: str) -> Iterator[None]:
        """One more waits for this while the block lasts."""
        self._count(what, 1)
        try:
            yield
        finally:
            self._count(what, -1)

    def begin(self, what: str, error: Exception) -> None:
        """A call has failed, and waits."""
        self._reasons[what] = str(error)
        if not self._calls[what]:
            logger.warning("waiting: %s", error, extra=fields(what=what))
        self._count(what, 1)

    def end(self, what: str) -> None:
        """A call that waited goes on, or is given up."""
        self._count(what, -1)
        if not self._calls[what]:
            del self._reasons[what]
            logger.info("going on", extra=fields(what=what))

    def _count(self, what: str, change: int) -> None:
        self._calls[what] += change
        if self._gauge is not None:
            self._gauge.set(self._calls[what], what=what)


WAITS: ContextVar[OutageTracker] = ContextVar("waits", default=OutageTracker())  # noqa: B039 - shared where none is set
"""Those of the daemon whose task this is: set once where it begins, and its tasks inherit it."""


async def retry_while_unavailable(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """The result of `call`, tried again for as long as a server is away.

    The waits double from a quarter of a second to 15 s, each with jitter, so that eight
    workers do not come back in step.
    """
    try:
        return await call()
    except (Unavailable, Busy) as error:
        first = error
    waits = WAITS.get()
    waits.begin(what, first)
    try:
        return await _again(call)
    finally:
        waits.end(what)


async def _again(call: Callable[[], Awaitable[T]]) -> T:
    wait = FIRST_WAIT_S
    while True:
        await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        try:
            return await call()
        except (Unavailable, Busy):
            wait = min(wait * 2, LONGEST_WAIT_S)
