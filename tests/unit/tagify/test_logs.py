"""Log lines: priorities for the journal, and the rate limit of one kind of line."""

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from tagify.logs import LogLimit

LOG_EACH_LEVEL = """
import logging
from tagify.logs import configure_logging
configure_logging("api", "debug", {style!r})
for level in ("debug", "info", "warning", "error", "critical"):
    logging.getLogger("x").log(getattr(logging, level.upper()), level)
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("x").exception("failed")
for noisy in ("urllib3.connectionpool", "PIL.TiffImagePlugin"):
    logging.getLogger(noisy).warning("chatter")
"""


def logged(style: str, *, in_journal: bool) -> list[str]:
    """The lines of a process whose standard error is a pipe, which is the journal's stream or is not."""
    reading, writing = os.pipe()
    status = os.fstat(writing)
    stream = f"{status.st_dev}:{status.st_ino if in_journal else 1}"
    environment = {**os.environ, "JOURNAL_STREAM": stream}
    script = LOG_EACH_LEVEL.format(style=style)
    subprocess.run([sys.executable, "-c", script], stderr=writing, env=environment, check=True)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return pipe.read().splitlines()


def test_lines_in_the_journal_have_its_priorities() -> None:
    lines = logged("json", in_journal=True)
    assert [line[:4] for line in lines] == ["<7>{", "<6>{", "<4>{", "<3>{", "<2>{", "<3>{"]


def test_each_line_of_a_traceback_has_the_priority_of_its_message() -> None:
    trace = logged("text", in_journal=True)[5:]
    assert len(trace) > 3
    assert {line[:3] for line in trace} == {"<3>"}


def test_lines_elsewhere_have_no_priority() -> None:
    assert all(line.startswith("{") for line in logged("json", in_journal=False))


@given(steps=st.lists(st.floats(0, 5), max_size=200), lines=st.integers(1, 5), period_s=st.floats(1, 10))
def test_a_rate_limit_admits_few_lines_and_counts_the_others(
    steps: list[float], lines: int, period_s: float
) -> None:
    now = 0.0
    limit = LogLimit(lines, period_s, lambda: now)
    admitted: list[float] = []
    pending = reported = 0
    for step in steps:
        now += step
        left_out = limit.admit()
        if left_out is None:
            pending += 1
        else:
            assert left_out == pending - reported
            reported = pending
            admitted.append(now)
    windows = [sum(start <= time < start + period_s for time in admitted) for start in admitted]
    assert max(windows, default=0) <= 2 * lines
    assert len(admitted) + pending == len(steps)
