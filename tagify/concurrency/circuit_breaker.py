"""A circuit breaker: a server that fails again and again is left alone for a while."""

import logging
import math
import time
from collections.abc import Callable

from tagify.concurrency.retry import Backoff
from tagify.errors import Unavailable
from tagify.metrics import Counter, Gauge

logger = logging.getLogger(__name__)

FAILURE_THRESHOLD = 5
"""The circuit opens after so many failures in a row."""

FIRST_PAUSE_S = 1.0
"""First pause before a probe, in seconds; it doubles with each probe that fails."""

LONGEST_PAUSE_S = 15.0

_PAUSES = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, jitter=0)


class CircuitBreaker:
    """Closed: calls pass. Open: each is refused at once. Half-open: one probe passes and decides."""

    def __init__(
        self,
        name: str,
        *,
        state: Gauge,
        refused: Counter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
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
        """The block is one call; Unavailable is its failure, any other end means that the server answers.

        Raises Unavailable, with the time until the next probe, while the circuit is open.
        """
        return _Call(self)

    def before_call(self) -> bool:
        """A call may begin; whether it is the probe. Raises Unavailable."""
        if self._probe_at is None:
            return False
        left = max(0.0, self._probe_at - self._clock())
        if self._probing or left:
            self._refused.add(server=self._name)
            raise Unavailable(
                f"the {self._name} server fails; it is asked again soon", retry_after_s=math.ceil(left) or 1
            )
        self._probing = True
        return True

    def after_call(self, error: BaseException | None, *, probing: bool) -> None:
        """A call has ended, with an error or without."""
        if error is None or (isinstance(error, Exception) and not isinstance(error, Unavailable)):
            self._succeeded()
        elif isinstance(error, Unavailable):
            # By its name alone: what an error says may hold a signed URL.
            cause = type(error.__cause__ or error).__name__
            logger.warning("%s: a call to this server has failed: %s, %s", self._name, error, cause)
            self._failed(probing=probing)
        else:
            # Whoever asked has left: nothing is known, and the next may probe.
            self._probing = self._probing and not probing

    def _failed(self, *, probing: bool) -> None:
        self._failures += 1
        if probing:
            self._probing = False
            self._failed_probes += 1
        elif self._probe_at is not None or self._failures < FAILURE_THRESHOLD:
            return
        self._probe_at = self._clock() + _PAUSES.delay(self._failed_probes + 1)
        self._state.set(1, server=self._name)

    def _succeeded(self) -> None:
        self._failures = 0
        if self._probe_at is not None:
            self._probe_at, self._probing, self._failed_probes = None, False, 0
            self._state.set(0, server=self._name)


class _Call:
    """One call, as a block. A class: a generator would take three times as long."""

    __slots__ = ("_circuit", "_probing")

    def __init__(self, circuit: CircuitBreaker) -> None:
        self._circuit = circuit

    def __enter__(self) -> None:
        self._probing = self._circuit.before_call()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._circuit.after_call(error, probing=self._probing)
