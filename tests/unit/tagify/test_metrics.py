"""Metrics: the exported series of counters, gauges and histograms."""

import asyncio

import pytest

from tagify.metrics import Metrics


def exported(metrics: Metrics) -> set[str]:
    return {line for line in metrics.exposition()[0].decode().splitlines() if not line.startswith("#")}


def test_a_counter_has_a_series_for_each_set_of_labels() -> None:
    metrics = Metrics()
    counter = metrics.counter("requests_total", "Requests.", labelled=True)
    counter.add(layer="disk", outcome="hit")
    counter.add(2, outcome="hit", layer="disk")
    counter.add(layer="disk", outcome="miss")
    assert exported(metrics) == {
        'requests_total{layer="disk",outcome="hit"} 3',
        'requests_total{layer="disk",outcome="miss"} 1',
    }
    counter.add(layer="disk", outcome="miss")
    assert 'requests_total{layer="disk",outcome="miss"} 2' in exported(metrics)


def test_a_counter_without_labels_is_exported_as_zero() -> None:
    metrics = Metrics()
    metrics.counter("sent_total", "Bytes.")
    assert exported(metrics) == {"sent_total 0"}


def test_a_gauge_is_raised_while_a_block_runs() -> None:
    metrics = Metrics()
    gauge = metrics.gauge("in_flight", "Requests.")
    with pytest.raises(ValueError, match="failed"), gauge.raised(), gauge.raised():
        assert exported(metrics) == {"in_flight 2"}
        raise ValueError("failed")
    assert exported(metrics) == {"in_flight 0"}
    gauge.set(7)
    assert exported(metrics) == {"in_flight 7"}


def test_a_gauge_reads_its_function_in_each_export() -> None:
    metrics, transfers = Metrics(), [1]
    metrics.gauge("transfers", "Transfers.").set_function(lambda: len(transfers))
    assert exported(metrics) == {"transfers 1"}
    transfers.append(2)
    assert exported(metrics) == {"transfers 2"}


def test_a_histogram_counts_durations_up_to_each_bound() -> None:
    metrics = Metrics()
    histogram = metrics.histogram("took_seconds", "Time.", buckets_s=(0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 3.0):
        histogram.observe(seconds, kind="a")
    assert exported(metrics) == {
        'took_seconds_bucket{kind="a",le="0.1"} 2.0',
        'took_seconds_bucket{kind="a",le="1.0"} 3.0',
        'took_seconds_bucket{kind="a",le="+Inf"} 4.0',
        'took_seconds_count{kind="a"} 4.0',
        'took_seconds_sum{kind="a"} 3.65',
    }


def test_a_name_can_be_registered_once() -> None:
    metrics = Metrics()
    metrics.gauge("depth", "Depth.")
    with pytest.raises(ValueError, match="depth"):
        metrics.counter("depth", "Depth.")


def test_an_old_name_is_exported_beside_the_new_one_without_the_new_labels() -> None:
    metrics = Metrics()
    histogram = metrics.histogram(
        "tagify_took_seconds", "Time.", buckets_s=(1.0,), old="took_seconds", old_without=("method",)
    )
    metrics.counter("tagify_sent_total", "Bytes.", old="sent_total").add(3)
    for method, seconds in (("GET", 0.5), ("GET", 3.0), ("PUT", 0.5)):
        histogram.observe(seconds, method=method, route="/")
    lines = exported(metrics)
    assert {"tagify_sent_total 3", "sent_total 3"} <= lines
    assert 'tagify_took_seconds_bucket{le="1.0",method="GET",route="/"} 1.0' in lines
    assert 'tagify_took_seconds_count{method="PUT",route="/"} 1.0' in lines
    assert 'took_seconds_bucket{le="1.0",route="/"} 2.0' in lines
    assert {'took_seconds_count{route="/"} 3.0', 'took_seconds_sum{route="/"} 4.0'} <= lines


def test_series_of_things_that_are_gone_are_not_exported() -> None:
    metrics = Metrics()
    gauge = metrics.gauge("files", "Files.")
    gauge.set(1, library="a")
    assert exported(metrics) == {'files{library="a"} 1'}
    gauge.clear()
    gauge.set(2, library="b")
    assert exported(metrics) == {'files{library="b"} 2'}


async def test_a_refresher_that_fails_or_hangs_leaves_the_last_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tagify.metrics.REFRESH_TIMEOUT_S", 0.01)
    metrics = Metrics()
    gauge = metrics.gauge("size", "Size.")

    async def refresh() -> None:
        gauge.set(1)

    async def fail() -> None:
        raise OSError("no such folder")

    async def hang() -> None:
        await asyncio.Event().wait()

    for refresher in (fail, hang, refresh):
        metrics.add_refresher(refresher)
    await metrics.refresh()
    assert exported(metrics) == {"size 1"}
