"""The rate and the time left of a progress bar."""

import pytest

from tagify.terminal import ProgressRate, format_duration


def test_the_rate_is_that_of_the_last_seconds() -> None:
    now = 0.0
    rate = ProgressRate(clock=lambda: now)
    assert rate.describe(0, 1000) == ""
    now = 10.0
    assert rate.describe(100, 1000) == "10 images/s, 90 s left"
    for now in range(11, 61):
        described = rate.describe(100 + 2 * int(now - 10), 1000)
    assert described == "2.0 images/s, 7 min left"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5940, "99 min"), (7800, "2 h 10 min")]
)
def test_a_duration_has_one_or_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
