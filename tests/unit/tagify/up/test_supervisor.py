"""Backoff of the supervisor of `tagify up`."""

from tagify.up.supervisor import HEALTHY_RUN_S, MAX_CRASHES, RestartBackoff


def test_the_delay_doubles_with_each_crash_until_the_supervisor_gives_up() -> None:
    backoff = RestartBackoff()
    delays = [backoff.next_delay(1) for _ in range(MAX_CRASHES)]
    assert delays == [0.5, 1, 2, 4, None]


def test_a_healthy_run_resets_the_delay() -> None:
    backoff = RestartBackoff()
    assert [backoff.next_delay(1), backoff.next_delay(HEALTHY_RUN_S), backoff.next_delay(1)] == [0.5, 0.5, 1]
