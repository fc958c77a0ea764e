"""The backlog of events against a model: whoever stands at a place is told all behind it, or that it is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.events.replay_buffer import CHUNK, Backlog, Event, Overtaken


def event(number: int, size: int = 1) -> Event:
    return Event(f"{number:016X}", f"<{number}>".encode() * size)


def all_behind(backlog: Backlog, token: str) -> bytes:
    place, told = backlog.place_behind(token), b""
    assert place is not None
    while place < backlog.end:
        chunk, place = backlog.read(place)
        told += chunk
    return told


@given(
    st.lists(st.integers(1, 3), max_size=40),
    st.integers(1, 12),
    st.integers(10, 200),
    st.integers(0, 130),
)
def test_a_token_is_told_all_behind_it_or_is_below_the_floor(
    steps: list[int], most: int, most_bytes: int, last: int
) -> None:
    backlog, numbers, now = Backlog(most, most_bytes), [], 0
    backlog.start(event(0).token)
    for step in steps:
        now += step
        numbers.append(now)
        backlog.append(event(now))
    token = event(last).token
    expected = [number for number in numbers if number > last]
    if backlog.place_behind(token) is None:
        held = [event(number) for number in expected]
        assert len(held) > most or sum(len(one.wire) for one in held) > most_bytes
    else:
        assert all_behind(backlog, token) == b"".join(event(number).wire for number in expected)


@given(st.integers(0, 10), st.integers(0, 10))
def test_reaching_back_holds_more_and_moves_nobody(before: int, after: int) -> None:
    backlog = Backlog(100, 10_000)
    backlog.start(event(50).token)
    place = backlog.end
    for number in range(51, 51 + after):
        backlog.append(event(number))
    assert backlog.place_behind(event(40).token) is None
    missed = [event(50 - number) for number in reversed(range(before))]
    assert backlog.reach_back(missed, event(40).token)
    everything = b"".join(one.wire for one in missed) + b"".join(
        event(number).wire for number in range(51, 51 + after)
    )
    assert all_behind(backlog, event(40).token) == everything
    assert place + after == backlog.end


def test_what_does_not_fit_is_not_reached_back_to() -> None:
    backlog = Backlog(3, 10_000)
    backlog.start(event(50).token)
    backlog.append(event(51))
    assert not backlog.reach_back([event(number) for number in (48, 49, 50)], event(47).token)
    assert backlog.place_behind(event(47).token) is None


def test_after_a_new_start_every_place_is_overtaken_also_when_it_reaches_back() -> None:
    backlog = Backlog(10, 10_000)
    backlog.start(event(0).token)
    for number in range(1, 9):
        backlog.append(event(number))
    places = range(backlog.end - 8, backlog.end + 1)
    backlog.start(event(100).token)
    assert backlog.reach_back([event(number) for number in range(91, 101)], event(90).token)
    for place in places:
        with pytest.raises(Overtaken):
            backlog.read(place)


def test_a_chunk_is_bounded_and_made_once_for_all() -> None:
    backlog = Backlog(100, 1 << 30)
    backlog.start(event(0).token)
    place = backlog.end
    for number in range(1, 4):
        backlog.append(event(number, CHUNK // 4))
    chunk, behind = backlog.read(place)
    assert (len(chunk) <= CHUNK, behind) == (True, place + 1)
    assert backlog.read(place)[0] is chunk
    assert backlog.read(behind)[1] == place + 2
