"""What the page of metrics shows of what was counted."""

import pytest

from tagify.metrics import Metrics


def shown(metrics: Metrics) -> set[str]:
    return {line for line in metrics.exposition()[0].decode().splitlines() if not line.startswith("#")}


def test_a_counter_adds_up_for_each_set_of_labels() -> None:
    metrics = Metrics()
    counter = metrics.counter("asked_total", "Questions.", labelled=True)
    counter.add(layer="disk", outcome="hit")
    counter.add(2, outcome="hit", layer="disk")
    counter.add(layer="disk", outcome="miss")
    assert shown(metrics) == {
        'asked_total{layer="disk",outcome="hit"} 3',
        'asked_total{layer="disk",outcome="miss"} 1',
    }
    counter.add(layer="disk", outcome="miss")
    assert 'asked_total{layer="disk",outcome="miss"} 2' in shown(metrics)


def test_a_counter_without_labels_is_there_from_the_start() -> None:
    metrics = Metrics()
    metrics.counter("sent_total", "Bytes.")
    assert shown(metrics) == {"sent_total 0"}


def test_a_gauge_is_held_for_as_long_as_a_block_lasts() -> None:
    metrics = Metrics()
    gauge = metrics.gauge("in_flight", "Requests.")
    with pytest.raises(ValueError, match="gone"), gauge.raised(), gauge.raised():
        assert shown(metrics) == {"in_flight 2"}
        raise ValueError("gone")
    assert shown(metrics) == {"in_flight 0"}
    gauge.set(7)
    assert shown(metrics) == {"in_flight 7"}


def test_a_gauge_follows_what_it_is_told_to() -> None:
    metrics, under_way = Metrics(), [1]
    metrics.gauge("transfers", "Transfers.").set_function(lambda: len(under_way))
    assert shown(metrics) == {"transfers 1"}
    under_way.append(2)
    assert shown(metrics) == {"transfers 2"}


def test_a_histogram_counts_up_to_each_bound() -> None:
    metrics = Metrics()
    histogram = metrics.histogram("took_seconds", "Time.", buckets_s=(0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 3.0):
        histogram.observe(seconds, kind="a")
    assert shown(metrics) == {
        'took_seconds_bucket{kind="a",le="0.1"} 2.0',
        'took_seconds_bucket{kind="a",le="1.0"} 3.0',
        'took_seconds_bucket{kind="a",le="+Inf"} 4.0',
        'took_seconds_count{kind="a"} 4.0',
        'took_seconds_sum{kind="a"} 3.65',
    }


def test_a_name_is_taken_once() -> None:
    metrics = Metrics()
    metrics.gauge("depth", "Depth.")
    with pytest.raises(ValueError, match="depth"):
        metrics.counter("depth", "Depth.")
