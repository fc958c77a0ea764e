"""Counters, gauges and histograms, and how they are shown.

One Metrics for a process, made by its app.py. Rooms are given the metric they count with;
label values come from fixed sets only, so that the number of series stays bounded.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aioprometheus import collectors
from aioprometheus.renderer import render

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Labels = dict[str, str]


class Counter:
    """A number that only grows; its name ends in `_total`."""

    def __init__(self, collector: collectors.Counter) -> None:
        self._collector = collector

    def add(self, amount: float = 1, **labels: str) -> None:
        """Count `amount` more under these labels."""
        self._collector.add(labels, amount)


class Gauge:
    """A number that goes up and down."""

    def __init__(self, collector: collectors.Gauge) -> None:
        self._collector = collector

    def set(self, value: float, **labels: str) -> None:
        """The value is now this."""
        self._collector.set(labels, value)

    @contextmanager
    def held(self, **labels: str) -> Iterator[None]:
        """One more for as long as the block lasts."""
        self._collector.inc(labels)
        try:
            yield
        finally:
            self._collector.dec(labels)


class Histogram:
    """How long something takes, in seconds."""

    def __init__(self, collector: collectors.Histogram) -> None:
        self._collector = collector

    def observe(self, seconds: float, **labels: str) -> None:
        """One more of this length."""
        self._collector.observe(labels, seconds)

    @contextmanager
    def timed(self, **labels: str) -> Iterator[None]:
        """Observe the time that the block takes, whether it succeeds or not."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - start, **labels)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self._registry = collectors.Registry()

    def counter(self, name: str, doc: str, *, labelled: bool = False) -> Counter:
        """A new counter; without labels it shows 0 from the start. Raises ValueError as below."""
        counter = Counter(collectors.Counter(name, doc, registry=self._registry))
        if not labelled:
            counter.add(0)
        return counter

    def gauge(self, name: str, doc: str) -> Gauge:
        """A new gauge. Raises ValueError when the name is taken."""
        return Gauge(collectors.Gauge(name, doc, registry=self._registry))

    def histogram(self, name: str, doc: str, buckets_s: Sequence[float] = LATENCY_BUCKETS_S) -> Histogram:
        """A new histogram with upper bounds in seconds. Raises ValueError when the name is taken."""
        return Histogram(
            collectors.Histogram(name, doc, registry=self._registry, buckets=[*buckets_s, float("inf")])
        )

    def page(self) -> tuple[bytes, dict[str, str]]:
        """The text exposition of all metrics, and the headers it goes with."""
        body, headers = render(self._registry, ["text/plain"])
        return body, {str(key): str(value) for key, value in headers.items()}
