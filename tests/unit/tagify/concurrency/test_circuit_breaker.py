"""The circuit opens after failures in a row, lets one probe through, and closes with its success."""

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
        self.circuit = CircuitBreaker(
            "S3",
            state=self.metrics.gauge("open", ""),
            refused=self.metrics.counter("refused_total", "", labelled=True),
            clock=lambda: self.now,
        )

    def call(self, error: BaseException | None = None) -> None:
        with self.circuit.call():
            if error:
                raise error

    def fail(self) -> None:
        with pytest.raises(Unavailable, match="down"):
            self.call(Unavailable("down"))

    def refused(self) -> Unavailable:
        with pytest.raises(Unavailable, match="asked again soon") as caught:
            self.call(AssertionError("the server was asked"))
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
    with bench.circuit.call():
        bench.refused()  # one probe, not two
    assert bench.shows('open{server="S3"} 0')
    bench.call()


def test_a_failure_is_told_by_its_kind_and_without_what_it_says(caplog: pytest.LogCaptureFixture) -> None:
    error = Unavailable("down")
    error.__cause__ = ConnectionResetError("https://s3.example.org/x?X-Amz-Signature=secret")
    with pytest.raises(Unavailable):
        Bench().call(error)
    assert caplog.messages == ["S3: a call to this server has failed: down, ConnectionResetError"]


def test_only_failures_in_a_row_count_and_an_answer_is_none() -> None:
    bench = Bench()
    for _ in range(3):
        for _ in range(FAILURE_THRESHOLD - 1):
            bench.fail()
        with pytest.raises(NotFound):
            bench.call(NotFound())
    bench.call()


def test_a_probe_whose_asker_leaves_decides_nothing() -> None:
    bench = Bench()
    for _ in range(FAILURE_THRESHOLD):
        bench.fail()
    bench.now += FIRST_PAUSE_S
    with pytest.raises(asyncio.CancelledError):
        bench.call(asyncio.CancelledError())
    bench.call()
    bench.call()


def test_pauses_grow_to_a_bound() -> None:
    bench = Bench()
    for _ in range(FAILURE_THRESHOLD):
        bench.fail()
    for _ in range(10):
        bench.now += LONGEST_PAUSE_S
        bench.fail()
    assert (bench.refused().retry_after_s or 0) <= LONGEST_PAUSE_S
