"""The backlog of events against a model: whoever stands at a place is told all behind it, or that it is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.events.replay_buffer import MAX_CHUNK_BYTES, PositionExpired, ReplayBuffer, SseEvent


def make_event(number: int, size: int = 1) -> SseEvent:
    return SseEvent(f"{number:016X}", f"<{number}>".encode() * size)


def read_all_after(backlog: ReplayBuffer, token: str) -> bytes:
    place, told = backlog.position_after(token), b""
    assert place is not None
    while place < backlog.end_position:
        chunk, place = backlog.read(place)
        told += chunk
    return told


@given(
    st.lists(st.integers(1, 3), max_size=40),
    st.integers(1, 12),
    st.integers(10, 200),
    st.integers(0, 130),
)
def test_a_token_gets_all_later_events_or_is_below_the_floor(
    steps: list[int], most: int, most_bytes: int, last: int
) -> None:
    backlog, numbers, now = ReplayBuffer(most, most_bytes), [], 0
    backlog.reset(make_event(0).token)
    for step in steps:
        now += step
        numbers.append(now)
        backlog.append(make_event(now))
    token = make_event(last).token
    expected = [number for number in numbers if number > last]
    if backlog.position_after(token) is None:
        held = [make_event(number) for number in expected]
        assert len(held) > most or sum(len(one.payload) for one in held) > most_bytes
    else:
        assert read_all_after(backlog, token) == b"".join(make_event(number).payload for number in expected)


@given(st.integers(0, 10), st.integers(0, 10))
def test_prepend_adds_events_and_keeps_positions(before: int, after: int) -> None:
    backlog = ReplayBuffer(100, 10_000)
    backlog.reset(make_event(50).token)
    place = backlog.end_position
    for number in range(51, 51 + after):
        backlog.append(make_event(number))
    assert backlog.position_after(make_event(40).token) is None
    missed = [make_event(50 - number) for number in reversed(range(before))]
    assert backlog.prepend(missed, make_event(40).token)
    everything = b"".join(one.payload for one in missed) + b"".join(
        make_event(number).payload for number in range(51, 51 + after)
    )
    assert read_all_after(backlog, make_event(40).token) == everything
    assert place + after == backlog.end_position


def test_prepend_refuses_events_that_do_not_fit() -> None:
    backlog = ReplayBuffer(3, 10_000)
    backlog.reset(make_event(50).token)
    backlog.append(make_event(51))
    assert not backlog.prepend([make_event(number) for number in (48, 49, 50)], make_event(47).token)
    assert backlog.position_after(make_event(47).token) is None


def test_reset_expires_all_positions_even_after_prepend() -> None:
    backlog = ReplayBuffer(10, 10_000)
    backlog.reset(make_event(0).token)
    for number in range(1, 9):
        backlog.append(make_event(number))
    places = range(backlog.end_position - 8, backlog.end_position + 1)
    backlog.reset(make_event(100).token)
    assert backlog.prepend([make_event(number) for number in range(91, 101)], make_event(90).token)
    for place in places:
        with pytest.raises(PositionExpired):
            backlog.read(place)


def test_a_chunk_is_bounded_and_cached() -> None:
    backlog = ReplayBuffer(100, 1 << 30)
    backlog.reset(make_event(0).token)
    place = backlog.end_position
    for number in range(1, 4):
        backlog.append(make_event(number, MAX_CHUNK_BYTES // 4))
    chunk, behind = backlog.read(place)
    assert (len(chunk) <= MAX_CHUNK_BYTES, behind) == (True, place + 1)
    assert backlog.read(place)[0] is chunk
    assert backlog.read(behind)[1] == place + 2
