"""Counters, gauges and histograms, and their export in the Prometheus text format.

A process has one Metrics, created by its `app.py`; other code receives the metrics that it updates. Label
values come from fixed sets only, which bounds the number of series. Values are held here and copied to
aioprometheus when they are scraped: its collectors take 4 to 8 us per update, a third of the time of a
request that is served from memory.
"""

import asyncio
import logging
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from itertools import accumulate
from typing import TypeVar

from aioprometheus import collectors
from aioprometheus.histogram import Histogram as Buckets
from aioprometheus.renderer import render

logger = logging.getLogger(__name__)

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REFRESH_TIMEOUT_S = 1.0
"""Deadline of a refresher, in seconds."""

Refresher = Callable[[], Awaitable[None]]
"""Sets gauges before an export."""

C = TypeVar("C")

Labels = dict[str, str]
_Series = tuple[tuple[str, str], ...]


# Sorted labels by labels in call order: sorting them in each update would double its time.
_ORDERED: dict[_Series, _Series] = {}


def _series(labels: Labels) -> _Series:
    unordered = tuple(labels.items())
    ordered = _ORDERED.get(unordered)
    if ordered is None:
        ordered = _ORDERED[unordered] = tuple(sorted(unordered))
    return ordered


def _export(values: dict[_Series, float], targets: Sequence[collectors.Counter | collectors.Gauge]) -> None:
    for target in targets:
        target.values.clear()
        for series, value in values.items():
            target.set(dict(series), value)


class Counter:
    """A number that only increases; its name ends in `_total`."""

    def __init__(self, *collectors_: collectors.Counter) -> None:
        self._collectors = collectors_
        self._values: dict[_Series, float] = {}

    def add(self, amount: float = 1, **labels: str) -> None:
        """Increase the series with these labels."""
        series = _series(labels)
        self._values[series] = self._values.get(series, 0) + amount

    def set(self, value: float, **labels: str) -> None:
        """Set the series to a number that is counted elsewhere, such as by the kernel."""
        self._values[_series(labels)] = value

    def bind(self, **labels: str) -> Callable[[float], None]:
        """`add` for these labels, 0.1 us faster: for hot paths."""
        values, series = self._values, _series(labels)
        values.setdefault(series, 0)

        def add(amount: float) -> None:
            values[series] += amount

        return add

    def export(self) -> None:
        """Copy the values to the collector."""
        _export(self._values, self._collectors)


class _RaisedGauge:
    """Increases a gauge while a block runs. A class: a generator would take four times as long."""

    __slots__ = ("_amount", "_series", "_values")

    def __init__(self, values: dict[_Series, float], series: _Series, amount: float) -> None:
        self._values = values
        self._series = series
        self._amount = amount

    def __enter__(self) -> None:
        self._values[self._series] += self._amount

    def __exit__(self, *_: object) -> None:
        self._values[self._series] -= self._amount


class Gauge:
    """A number that increases and decreases."""

    def __init__(self, *collectors_: collectors.Gauge) -> None:
        self._collectors = collectors_
        self._values: dict[_Series, float] = {}
        self._function: Callable[[], float] | None = None

    def set_function(self, read: Callable[[], float]) -> None:
        """Call `read` for the value in each export."""
        self._function = read

    def set(self, value: float, **labels: str) -> None:
        """Set the value of the series with these labels."""
        self._values[_series(labels)] = value

    def clear(self) -> None:
        """Remove all series: of things that are gone."""
        self._values.clear()

    def raised(self, amount: float = 1, **labels: str) -> "_RaisedGauge":
        """Increase the value by `amount` while the block runs."""
        series = _series(labels)
        self._values.setdefault(series, 0)
        return _RaisedGauge(self._values, series, amount)

    def export(self) -> None:
        """Copy the values to the collector."""
        if self._function is not None:
            self.set(self._function())
        _export(self._values, self._collectors)


class _Timer:
    """Observes the duration of a block. A class: see _RaisedGauge."""

    __slots__ = ("_histogram", "_labels", "_start")

    def __init__(self, histogram: "Histogram", labels: Labels) -> None:
        self._histogram = histogram
        self._labels = labels

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._histogram.observe(time.perf_counter() - self._start, **self._labels)


class Histogram:
    """Durations in seconds, counted per bucket."""

    def __init__(
        self,
        collector: collectors.Histogram,
        bounds_s: Sequence[float],
        old: collectors.Histogram | None = None,
        old_without: Collection[str] = (),
    ) -> None:
        """`old` exports the same under another name, summed over the labels `old_without`."""
        self._collector = collector
        self._old = old
        self._old_without = old_without
        self._bounds = tuple(bounds_s)
        self._counts: dict[_Series, list[int]] = {}
        self._sums: dict[_Series, float] = {}

    def observe(self, seconds: float, **labels: str) -> None:
        """Add a duration."""
        series = _series(labels)
        self._counts_of(series)[bisect_left(self._bounds, seconds)] += 1
        self._sums[series] += seconds

    def bind(self, **labels: str) -> Callable[[float], None]:
        """`observe` for these labels, 0.1 us faster: for hot paths."""
        series, bounds, sums = _series(labels), self._bounds, self._sums
        counts = self._counts_of(series)

        def observe(seconds: float) -> None:
            counts[bisect_left(bounds, seconds)] += 1
            sums[series] += seconds

        return observe

    def time(self, **labels: str) -> "_Timer":
        """Observe the duration of the block, whether it succeeds or fails."""
        return _Timer(self, labels)

    def export(self) -> None:
        """Copy the values to the collectors."""
        for series, counts in self._counts.items():
            self._export_series(self._collector, series, counts, self._sums[series])
        if self._old is not None:
            for series, (counts, total) in self._summed().items():
                self._export_series(self._old, series, counts, total)

    def _summed(self) -> dict[_Series, tuple[list[int], float]]:
        summed: dict[_Series, tuple[list[int], float]] = {}
        for series, counts in self._counts.items():
            kept = tuple(label for label in series if label[0] not in self._old_without)
            others, total = summed.get(kept, ([0] * len(counts), 0.0))
            summed[kept] = [a + b for a, b in zip(others, counts, strict=True)], total + self._sums[series]
        return summed

    def _export_series(
        self, collector: collectors.Histogram, series: _Series, counts: list[int], total: float
    ) -> None:
        buckets = Buckets(*self._bounds)
        buckets.buckets.update(zip(buckets.buckets, accumulate(counts), strict=True))
        buckets.observations = sum(counts)
        buckets.sum = total
        collector.set_value(dict(series), buckets)

    def _counts_of(self, series: _Series) -> list[int]:
        counts = self._counts.get(series)
        if counts is None:
            counts = self._counts[series] = [0] * (len(self._bounds) + 1)
            self._sums[series] = 0.0
        return counts


class Metrics:
    """The metrics of one process.

    `old` is the name of a metric in the releases before 0.2; it is exported beside the new one for now.
    """

    def __init__(self) -> None:
        self._registry = collectors.Registry()
        self._metrics: list[Counter | Gauge | Histogram] = []
        self._refreshers: list[Refresher] = []

    def counter(self, name: str, doc: str, *, labelled: bool = False, old: str = "") -> Counter:
        """A new counter; without labels it is exported as 0 from the start. Raises ValueError as `gauge`."""
        counter = Counter(*self._collectors(collectors.Counter, name, doc, old))
        if not labelled:
            counter.add(0)
        self._metrics.append(counter)
        return counter

    def gauge(self, name: str, doc: str, *, old: str = "") -> Gauge:
        """A new gauge. Raises ValueError if a metric has this name."""
        gauge = Gauge(*self._collectors(collectors.Gauge, name, doc, old))
        self._metrics.append(gauge)
        return gauge

    def histogram(
        self,
        name: str,
        doc: str,
        buckets_s: Sequence[float] = LATENCY_BUCKETS_S,
        *,
        old: str = "",
        old_without: Collection[str] = (),
    ) -> Histogram:
        """A new histogram; `buckets_s`: upper bounds in seconds. Raises ValueError as `gauge`.

        `old_without`: labels that the metric did not have under its old name.
        """
        bounds = [*buckets_s, float("inf")]
        collector, *olds = self._collectors(partial(collectors.Histogram, buckets=bounds), name, doc, old)
        histogram = Histogram(collector, buckets_s, olds[0] if olds else None, old_without)
        self._metrics.append(histogram)
        return histogram

    def add_refresher(self, refresh: Refresher) -> None:
        """Call this before each export: it sets gauges that cost a system call or a query."""
        self._refreshers.append(refresh)

    async def refresh(self) -> None:
        """Call the refreshers; those that fail or take too long leave the values of the last time."""
        await asyncio.gather(*(_refresh(refresher) for refresher in self._refreshers))

    def exposition(self) -> tuple[bytes, dict[str, str]]:
        """All metrics in the text format, and the headers of the response."""
        for metric in self._metrics:
            metric.export()
        body, headers = render(self._registry, ["text/plain"])
        return body, {str(key): str(value) for key, value in headers.items()}

    def _collectors(self, kind: Callable[..., C], name: str, doc: str, old: str) -> list[C]:
        names = {name: doc, old: f"Old name of {name}."} if old else {name: doc}
        return [kind(each, text, registry=self._registry) for each, text in names.items()]


async def _refresh(refresh: Refresher) -> None:
    try:
        async with asyncio.timeout(REFRESH_TIMEOUT_S):
            await refresh()
    except Exception as error:
        logger.debug("cannot refresh metrics: %s", error)
