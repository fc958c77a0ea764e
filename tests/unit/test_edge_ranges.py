"""Ranges and preconditions against a plain model of RFC 9110: lists of bytes, and what it says of them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.conditions import not_modified, range_applies
from edge.headers import disposition
from edge.ranges import Range, Unsatisfiable, parse

NUMBERS = st.one_of(st.none(), st.integers(0, 30))
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SAME = "Fri, 02 Jan 2026 03:04:05 GMT"
EARLIER = "Fri, 02 Jan 2026 03:04:04 GMT"


def model(first: int | None, last: int | None, length: int) -> list[int] | None:
    """The positions that the range names, [] where it names none; None where it is no range."""
    positions = list(range(length))
    if first is None:
        return None if last is None else positions[max(0, length - last) :] if last else []
    if last is None:
        return positions[first:]
    return None if last < first else positions[first : last + 1]


@given(NUMBERS, NUMBERS, st.integers(0, 20))
def test_a_range_names_what_the_rfc_says(first: int | None, last: int | None, length: int) -> None:
    text = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    expected = model(first, last, length)
    if expected == []:
        with pytest.raises(Unsatisfiable):
            parse(text, length)
        return
    found = parse(text, length)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert list(range(found.first, found.last + 1)) == expected
        assert found.length == len(expected)


@given(st.text(max_size=40), st.integers(0, 100))
def test_any_other_header_is_the_whole_or_unsatisfiable_never_an_error(text: str, length: int) -> None:
    for header in (text, f"bytes={text}"):
        try:
            found = parse(header, length)
        except Unsatisfiable:
            continue
        assert found is None or 0 <= found.first <= found.last < length


@pytest.mark.parametrize(
    "header", [None, "", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "items=0-1", "bytes=0-1,3-4"]
)
def test_what_is_malformed_or_many_is_the_whole(header: str | None) -> None:
    assert parse(header, 10) is None


def test_numbers_of_absurd_length_are_malformed() -> None:
    assert parse(f"bytes={'9' * 5000}-", 10) is None


def test_a_range_is_cut_to_the_body() -> None:
    assert parse("bytes=2-99", 10) == Range(2, 9)
    assert parse("bytes=-99", 10) == Range(0, 9)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"If-None-Match": '"a"'}, True),
        ({"If-None-Match": '"x", W/"a"'}, True),
        ({"If-None-Match": "*"}, True),
        ({"If-None-Match": '"x"'}, False),
        ({"If-Modified-Since": SAME}, True),
        ({"If-Modified-Since": EARLIER}, False),
        ({"If-None-Match": '"x"', "If-Modified-Since": SAME}, False),
        ({"If-Modified-Since": "nonsense"}, False),
    ],
)
def test_whether_the_client_has_it_already(headers: dict[str, str], expected: bool) -> None:
    assert not_modified(headers, '"a"', WHEN) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (None, True),
        ('"a"', True),
        ('W/"a"', False),
        ('"x"', False),
        (SAME, True),
        (EARLIER, False),
        ("odd", False),
    ],
)
def test_whether_a_part_still_fits(condition: str | None, expected: bool) -> None:
    headers = {"If-Range": condition} if condition else {}
    assert range_applies(headers, '"a"', WHEN) is expected


@given(st.text(max_size=50))
def test_any_name_makes_a_header_of_one_plain_line(name: str) -> None:
    header = disposition(name, download=False)
    assert header.isascii()
    assert "\n" not in header
    assert "\r" not in header
    assert header.count('"') == 2
