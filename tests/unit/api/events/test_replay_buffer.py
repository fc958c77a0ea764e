"""The replay buffer against a model: a position gives all later events, or is expired."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.events.replay_buffer import MAX_CHUNK_BYTES, PositionExpired, ReplayBuffer, SseEvent


def make_event(number: int, size: int = 1) -> SseEvent:
    return SseEvent(f"{number:016X}", f"<{number}>".encode() * size)


def read_all_after(buffer: ReplayBuffer, token: str) -> bytes:
    position, received = buffer.position_after(token), b""
    assert position is not None
    while position < buffer.end_position:
        chunk, position = buffer.read(position)
        received += chunk
    return received


@given(
    st.lists(st.integers(1, 3), max_size=40),
    st.integers(1, 12),
    st.integers(10, 200),
    st.integers(0, 130),
)
def test_a_token_gets_all_later_events_or_is_below_the_floor(
    steps: list[int], max_events: int, max_bytes: int, last: int
) -> None:
    buffer, numbers, now = ReplayBuffer(max_events, max_bytes), [], 0
    buffer.reset(make_event(0).token)
    for step in steps:
        now += step
        numbers.append(now)
        buffer.append(make_event(now))
    token = make_event(last).token
    expected = [number for number in numbers if number > last]
    if buffer.position_after(token) is None:
        later = [make_event(number) for number in expected]
        assert len(later) > max_events or sum(len(event.payload) for event in later) > max_bytes
    else:
        assert read_all_after(buffer, token) == b"".join(make_event(number).payload for number in expected)


@given(st.integers(0, 10), st.integers(0, 10))
def test_prepend_adds_events_and_keeps_positions(before: int, after: int) -> None:
    buffer = ReplayBuffer(100, 10_000)
    buffer.reset(make_event(50).token)
    position = buffer.end_position
    for number in range(51, 51 + after):
        buffer.append(make_event(number))
    assert buffer.position_after(make_event(40).token) is None
    missed = [make_event(50 - number) for number in reversed(range(before))]
    assert buffer.prepend(missed, make_event(40).token)
    everything = b"".join(event.payload for event in missed) + b"".join(
        make_event(number).payload for number in range(51, 51 + after)
    )
    assert read_all_after(buffer, make_event(40).token) == everything
    assert position + after == buffer.end_position


def test_prepend_refuses_events_that_do_not_fit() -> None:
    buffer = ReplayBuffer(3, 10_000)
    buffer.reset(make_event(50).token)
    buffer.append(make_event(51))
    assert not buffer.prepend([make_event(number) for number in (48, 49, 50)], make_event(47).token)
    assert buffer.position_after(make_event(47).token) is None


def test_reset_expires_all_positions_even_after_prepend() -> None:
    buffer = ReplayBuffer(10, 10_000)
    buffer.reset(make_event(0).token)
    for number in range(1, 9):
        buffer.append(make_event(number))
    positions = range(buffer.end_position - 8, buffer.end_position + 1)
    buffer.reset(make_event(100).token)
    assert buffer.prepend([make_event(number) for number in range(91, 101)], make_event(90).token)
    for position in positions:
        with pytest.raises(PositionExpired):
            buffer.read(position)


def test_a_chunk_is_bounded_and_cached() -> None:
    buffer = ReplayBuffer(100, 1 << 30)
    buffer.reset(make_event(0).token)
    position = buffer.end_position
    for number in range(1, 4):
        buffer.append(make_event(number, MAX_CHUNK_BYTES // 4))
    chunk, next_position = buffer.read(position)
    assert (len(chunk) <= MAX_CHUNK_BYTES, next_position) == (True, position + 1)
    assert buffer.read(position)[0] is chunk
    assert buffer.read(next_position)[1] == position + 2
