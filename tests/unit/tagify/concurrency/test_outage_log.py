"""The log of a server's outages: one line at the start, one at the end, few where its calls fail intermittently."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagify.concurrency.outage_log import SETTLE_S, OutageLog


class Bench:
    """A log with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log = OutageLog("S3", clock=lambda: self.now)

    def play(self, step_s: float, *, fails: bool) -> None:
        self.now += step_s
        if fails:
            self.log.failed("no answer")
        else:
            self.log.succeeded()


def test_an_outage_gives_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bench = Bench()
    bench.play(0, fails=False)
    for _ in range(100):
        bench.play(0.5, fails=True)
    for _ in range(100):
        bench.play(0.5, fails=False)
    assert caplog.messages == ["server unavailable: S3: no answer", "server is back: S3"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=100))
def test_lines_alternate_and_are_bounded_by_time(
    calls: list[tuple[float, bool]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    caplog.clear()
    bench = Bench()
    for step_s, fails in calls:
        bench.play(step_s, fails=fails)
    kinds = [message.split(":")[0] for message in caplog.messages]
    assert kinds == ["server unavailable", "server is back"] * (len(kinds) // 2) + kinds[: len(kinds) % 2]
    assert len(kinds) <= 2 * (bench.now / SETTLE_S) + 1
    if calls and calls[-1][1]:
        assert kinds[-1] == "server unavailable"
