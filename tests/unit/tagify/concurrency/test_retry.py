"""Retry: the delays of a backoff, which errors are retried, cancellation, and the record of outages."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.concurrency import retry as module
from tagify.concurrency.retry import (
    OUTAGES,
    Backoff,
    OutageTracker,
    retry,
    retry_while_unavailable,
    with_jitter,
)
from tagify.errors import Busy, NotFound, Unavailable
from tagify.metrics import Metrics

NO_DELAY = Backoff(0, 0)


class Server:
    """Raises the given errors, one for each call, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.calls = 0
        self._errors = list(errors)

    async def call(self) -> str:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return "done"


def test_delays_double_up_to_the_longest() -> None:
    delays = Backoff(0.5, 10, jitter=0).delays()
    assert list(itertools.islice(delays, 7)) == [0.5, 1, 2, 4, 8, 10, 10]


@given(
    st.floats(0.001, 100), st.floats(0.001, 1000), st.floats(0, 1), st.integers(1, 10**9), st.integers(1, 20)
)
def test_a_delay_is_within_its_jitter_and_bounded(
    first_s: float, longest_s: float, jitter: float, failures: int, small: int
) -> None:
    backoff = Backoff(first_s, longest_s, jitter)
    assert 0 <= backoff.delay(failures) <= longest_s
    undisturbed = Backoff(first_s, longest_s, jitter=0).delay(small)
    slack = 1e-9 * undisturbed
    assert (1 - jitter) * undisturbed - slack <= backoff.delay(small) <= undisturbed + slack


def test_jitter_spreads_the_retries_of_several_clients() -> None:
    assert len({Backoff(1, 10).delay(1) for _ in range(20)}) > 1
    assert with_jitter(3, 0) == 3


async def test_listed_errors_are_retried_and_reported_in_order() -> None:
    server, failures = Server(Unavailable("one"), Busy("two"), Unavailable("three")), list[tuple[int, str]]()
    result = await retry(
        server.call,
        on=(Unavailable, Busy),
        backoff=NO_DELAY,
        on_failure=lambda number, error: failures.append((number, str(error))),
    )
    assert result == "done"
    assert server.calls == 4
    assert failures == [(1, "one"), (2, "two"), (3, "three")]


async def test_any_other_error_is_raised_at_once() -> None:
    server = Server(Unavailable(), NotFound("gone"))
    with pytest.raises(NotFound, match="gone"):
        await retry(server.call, on=Unavailable, backoff=NO_DELAY)
    assert server.calls == 2


async def test_the_delay_is_slept_before_the_next_attempt() -> None:
    server, start = Server(Unavailable()), asyncio.get_running_loop().time()
    await retry(server.call, on=Unavailable, backoff=Backoff(0.05, 1, jitter=0))
    assert asyncio.get_running_loop().time() - start >= 0.05


async def test_a_cancellation_ends_a_delay_and_is_not_retried() -> None:
    server = Server(Unavailable())
    task = asyncio.create_task(retry(server.call, on=Exception, backoff=Backoff(3600, 3600)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.calls == 1


async def test_a_cancellation_of_the_call_is_not_retried() -> None:
    calls = 0

    async def hang() -> None:
        nonlocal calls
        calls += 1
        await asyncio.Event().wait()

    task = asyncio.create_task(retry(hang, on=Exception, backoff=NO_DELAY))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls == 1


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> OutageTracker:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.001)
    return OutageTracker()


async def test_an_outage_is_logged_once_for_all_calls(
    tracker: OutageTracker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    OUTAGES.set(tracker)
    servers = [Server(Unavailable("no answer"), Busy("no answer")) for _ in range(3)]
    calls = (retry_while_unavailable("catalog", server.call) for server in servers)
    assert await asyncio.gather(*calls) == ["done"] * 3
    assert caplog.messages == ["waiting for catalog: no answer", "catalog is back"]
    assert tracker.reasons == ""


async def test_a_call_that_succeeds_at_once_is_no_outage(
    tracker: OutageTracker, caplog: pytest.LogCaptureFixture
) -> None:
    OUTAGES.set(tracker)
    assert await retry_while_unavailable("objects", Server().call) == "done"
    assert caplog.messages == []


async def test_a_cancelled_call_waits_no_longer(
    tracker: OutageTracker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(module, "FIRST_WAIT_S", 15)
    OUTAGES.set(tracker)
    task = asyncio.create_task(retry_while_unavailable("objects", Server(Unavailable("no answer")).call))
    await asyncio.sleep(0)
    assert tracker.reasons == "objects: no answer"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tracker.reasons == ""
    assert caplog.messages == ["waiting for objects: no answer", "no longer waiting for objects"]


async def test_the_gauge_counts_the_calls_that_wait() -> None:
    metrics = Metrics()
    tracker = OutageTracker(metrics.gauge("waiting", "Calls that wait."))
    with tracker.counted("lease"), tracker.retrying("catalog") as on_failure:
        on_failure(1, Unavailable("no answer"))
        on_failure(2, Unavailable("no answer"))
        page = metrics.exposition()[0].decode()
    assert 'waiting{what="lease"} 1' in page
    assert 'waiting{what="catalog"} 1' in page
    assert 'waiting{what="catalog"} 0' in metrics.exposition()[0].decode()
