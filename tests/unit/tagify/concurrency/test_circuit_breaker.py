"""CircuitBreaker: opens after failures in a row, admits one probe, closes when it succeeds."""

import asyncio

import pytest

from tagify.concurrency.circuit_breaker import (
    FAILURE_THRESHOLD,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    CircuitBreaker,
)
from tagify.errors import NotFound, Unavailable
from tagify.metrics import Metrics


class Bench:
    def __init__(self) -> None:
        self.now = 0.0
        self.metrics = Metrics()
        self.breaker = CircuitBreaker(
            "S3",
            state=self.metrics.gauge("open", ""),
            refused=self.metrics.counter("refused_total", "", labelled=True),
            clock=lambda: self.now,
        )

    def call(self, error: BaseException | None = None) -> None:
        with self.breaker.call():
            if error:
                raise error

    def fail(self) -> None:
        with pytest.raises(Unavailable, match="down"):
            self.call(Unavailable("down"))

    def refused(self) -> Unavailable:
        with pytest.raises(Unavailable, match="does not answer") as caught:
            self.call(AssertionError("the call was made"))
        return caught.value

    def shows(self, line: str) -> bool:
        return line in self.metrics.exposition()[0].decode()


def test_it_opens_half_opens_and_closes() -> None:
    bench = Bench()
    for _ in range(FAILURE_THRESHOLD):
        assert bench.shows('open{server="S3"} 0')
        bench.fail()
    assert bench.shows('open{server="S3"} 1')
    assert bench.refused().retry_after_s == 1
    assert bench.shows('refused_total{server="S3"} 1')
    bench.now += FIRST_PAUSE_S
    bench.fail()
    assert bench.refused().retry_after_s == 2
    bench.now += FIRST_PAUSE_S * 2
    with bench.breaker.call():
        bench.refused()  # one probe at a time
    assert bench.shows('open{server="S3"} 0')
    bench.call()


def test_opening_and_closing_are_logged_with_the_type_of_the_cause_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    error = Unavailable("down")
    error.__cause__ = ConnectionResetError("https://s3.example.org/x?X-Amz-Signature=secret")
    bench = Bench()
    for _ in range(FAILURE_THRESHOLD):
        with pytest.raises(Unavailable):
            bench.call(error)
    for _ in range(5):  # failed probes
        bench.now += 100
        with pytest.raises(Unavailable):
            bench.call(error)
    bench.now += 100
    bench.call()
    assert caplog.messages == [
        "calls to a server are refused for now: S3: down, ConnectionResetError",
        "calls to a server are admitted again: S3",
    ]


def test_only_failures_in_a_row_open_the_circuit() -> None:
    bench = Bench()
    for _ in range(3):
        for _ in range(FAILURE_THRESHOLD - 1):
            bench.fail()
        with pytest.raises(NotFound):
            bench.call(NotFound())
    bench.call()


def test_a_cancelled_probe_decides_nothing() -> None:
    bench = Bench()
    for _ in range(FAILURE_THRESHOLD):
        bench.fail()
    bench.now += FIRST_PAUSE_S
    with pytest.raises(asyncio.CancelledError):
        bench.call(asyncio.CancelledError())
    bench.call()
    bench.call()


def test_pauses_grow_up_to_a_bound() -> None:
    bench = Bench()
    for _ in range(FAILURE_THRESHOLD):
        bench.fail()
    for _ in range(10):
        bench.now += LONGEST_PAUSE_S
        bench.fail()
    assert (bench.refused().retry_after_s or 0) <= LONGEST_PAUSE_S
