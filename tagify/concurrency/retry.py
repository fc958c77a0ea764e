"""Retry with exponential backoff and jitter, and the record of the outages that calls wait for."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from tagify.errors import Busy, Unavailable
from tagify.logs import fields
from tagify.metrics import Gauge

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_S = 0.25
"""Delay after the first failure of a call to MongoDB or the S3 server, in seconds, before jitter."""

LONGEST_WAIT_S = 15.0
"""Upper bound of that delay, in seconds: a server that is back is used again within this time."""

JITTER = 0.5
"""A delay is shortened by a random share of up to this much: clients of one server do not retry in step."""

MAX_DOUBLINGS = 64
"""Exponent bound: every delay has reached its upper bound long before, and a float does not overflow."""

_SERVERS = ("catalog", "objects")

OnFailure = Callable[[int, Exception], None]
"""Called after each failed attempt, before the delay, with the number of failures so far and the error."""


def with_jitter(seconds: float, jitter: float = JITTER) -> float:
    """A random time between `(1 - jitter) * seconds` and `seconds`."""
    return seconds * random.uniform(1 - jitter, 1) if jitter else seconds  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff: delays that double from `first_s` to `longest_s` seconds, shortened by jitter."""

    first_s: float
    longest_s: float
    jitter: float = JITTER

    def delay(self, failures: int) -> float:
        """The delay after this many failures in a row (1 or more), in seconds."""
        doubled = self.first_s * 2.0 ** min(failures - 1, MAX_DOUBLINGS)
        return with_jitter(min(doubled, self.longest_s), self.jitter)

    def delays(self) -> Iterator[float]:
        """The delays after the first failure, the second and so on, without end."""
        return map(self.delay, count(1))


def _ignore(_: int, __: Exception) -> None:
    """No hook."""


async def retry(
    call: Callable[[], Awaitable[T]],
    *,
    on: type[Exception] | tuple[type[Exception], ...],
    backoff: Backoff,
    on_failure: OnFailure = _ignore,
) -> T:
    """The result of `call`, repeated without limit for as long as it raises one of the errors in `on`.

    Every other error, and a cancellation of the call or of a delay, is raised at once. Not tenacity or
    stamina: they take 28 and 37 us around a call that succeeds at the first attempt, this takes 0.3.
    """
    failures = 0
    while True:
        try:
            return await call()
        except on as error:
            failures += 1
            on_failure(failures, error)
        await asyncio.sleep(backoff.delay(failures))


class OutageTracker:
    """The servers that calls of one daemon wait for: logged once per outage, counted in a gauge."""

    def __init__(self, gauge: Gauge | None = None) -> None:
        """`gauge`: number of waiting calls, by `what`: `catalog`, `objects`, `lease`, `disk` or `decoder`.

        The first four are 0 from the start; `decoder` appears with its first outage.
        """
        self._gauge = gauge
        self._waiting: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}
        for what in ("catalog", "objects", "lease", "disk"):
            self._count(what, 0)

    @property
    def reasons(self) -> str:
        """One line with each server that is waited for and its error; empty without an outage."""
        return "; ".join(f"{what}: {reason}" for what, reason in self._reasons.items())

    @contextmanager
    def counted(self, what: str) -> Iterator[None]:
        """Count one more waiting call while the block runs."""
        self._count(what, 1)
        try:
            yield
        finally:
            self._count(what, -1)

    def retrying(self, what: str) -> "_RetriedCall":
        """A block for one call to `what`; it yields the failure hook for `retry`."""
        return _RetriedCall(self, what)

    def begin(self, what: str, error: Exception) -> None:
        """A call has failed for the first time and waits from now on."""
        self._reasons[what] = str(error)
        if not self._waiting[what]:
            # An outage of MongoDB or of the S3 server has a line of its own.
            level = logging.INFO if what in _SERVERS else logging.WARNING
            logger.log(level, "waiting for %s: %s", what, error, extra=fields(what=what))
        self._count(what, 1)

    def end(self, what: str, *, recovered: bool) -> None:
        """A call waits no longer: it has succeeded, or was cancelled or failed otherwise."""
        self._count(what, -1)
        if not self._waiting[what]:
            del self._reasons[what]
            message = "%s is back" if recovered else "no longer waiting for %s"
            logger.info(message, what, extra=fields(what=what))

    def _count(self, what: str, change: int) -> None:
        self._waiting[what] += change
        if self._gauge is not None:
            self._gauge.set(self._waiting[what], what=what)


class _RetriedCall:
    """A call that counts as waiting from its first failure to its end."""

    __slots__ = ("_tracker", "_waits", "_what")

    def __init__(self, tracker: OutageTracker, what: str) -> None:
        self._tracker = tracker
        self._what = what
        self._waits = False

    def on_failure(self, _: int, error: Exception) -> None:
        if not self._waits:
            self._waits = True
            self._tracker.begin(self._what, error)

    def __enter__(self) -> OnFailure:
        return self.on_failure

    def __exit__(self, kind: type[BaseException] | None, _: object, __: object) -> None:
        if self._waits:
            self._tracker.end(self._what, recovered=kind is None)


OUTAGES: ContextVar[OutageTracker] = ContextVar("outages", default=OutageTracker())  # noqa: B039 - shared by default
"""The tracker of the daemon that runs this task: set where the daemon starts, inherited by its tasks."""


async def retry_while_unavailable(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """The result of `call`, retried while `what` (`objects`, say, or `decoder`) is unavailable."""
    with OUTAGES.get().retrying(what) as on_failure:
        backoff = Backoff(FIRST_WAIT_S, LONGEST_WAIT_S)
        return await retry(call, on=(Unavailable, Busy), backoff=backoff, on_failure=on_failure)
