"""Parsing of Range and of conditional headers; the plan made of them is tested with representations."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from edge.http.conditional import needs_last_modified, not_modified, precondition_failed, range_applies
from edge.http.ranges import MAX_RANGES, ByteRange, UnsatisfiableRange, parse_range

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SAME = "Fri, 02 Jan 2026 03:04:05 GMT"


@given(st.text(max_size=40) | st.text("0123456789-, \t", max_size=40), st.integers(0, 100))
def test_any_header_gives_valid_ranges_or_unsatisfiable(text: str, length: int) -> None:
    for header in (text, f"bytes={text}"):
        try:
            ranges = parse_range(header, length)
        except UnsatisfiableRange:
            continue
        assert len(ranges) <= MAX_RANGES
        assert all(0 <= part.first <= part.last < length for part in ranges)


MALFORMED = ["", "bytes", "bytes=", "bytes=-", "bytes=,", "bytes=a-b", "items=0-1", "bytes =0-1"]
MALFORMED += [
    "bytes=0-1;3-4",
    "bytes=+0-1",
    "bytes=0 -1",
    "bytes=0-1, bytes=2-3",
    "bytes=\u0661-",
]


@pytest.mark.parametrize("header", ["bytes=5-2", "bytes=0-1,5-2"])
def test_range_that_ends_before_its_start_is_refused_as_nginx_does(header: str) -> None:
    with pytest.raises(UnsatisfiableRange):
        parse_range(header, 10)


@pytest.mark.parametrize("header", [None, *MALFORMED])
def test_malformed_range_is_ignored(header: str | None) -> None:
    assert parse_range(header, 10) == ()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=2-99", (ByteRange(2, 9),)),
        ("bytes=-99", (ByteRange(0, 9),)),
        ("BYTES=0-1", (ByteRange(0, 1),)),
        ("bytes=, 0-1 ,\t,4-5,", (ByteRange(0, 1), ByteRange(4, 5))),
        ("bytes=6-7,0-1,1-3,4-4", (ByteRange(6, 7), ByteRange(0, 4))),
        ("bytes=0-0,99-", (ByteRange(0, 0),)),
        (f"bytes=0-{'9' * 3000}", (ByteRange(0, 9),)),
        (f"bytes=0-{'9' * 5000}", ()),
    ],
)
def test_ranges_are_clamped_and_coalesced(header: str, expected: tuple[ByteRange, ...]) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ('"x", W/"a"', True),
        ('"a" , ,"x"', True),
        ("*", True),
        ('"x"', False),
        ('a"a"', False),
        ('"a" "x"', False),
        ("", False),
        (", " * 4000 + "x", False),
    ],
)
def test_if_none_match_lists(tags: str, expected: bool) -> None:
    assert not_modified(CIMultiDict({"If-None-Match": tags}), '"a"', WHEN) is expected


def test_field_in_several_lines_is_one_list() -> None:
    headers = CIMultiDict([("If-None-Match", '"x"'), ("If-None-Match", '"a"'), ("If-Range", '"a"')])
    assert not_modified(headers, '"a"', WHEN)
    headers.add("If-Range", '"a"')
    assert not range_applies(headers, '"a"', WHEN)


@given(st.text(max_size=60) | st.from_regex(r"\w{3}, \d{1,3} \w{3} \d{1,8} \d\d:\d\d:\d\d( [+-]\d{1,20})?"))
def test_conditions_accept_any_text(text: str) -> None:
    for name in ("If-Match", "If-None-Match", "If-Range", "If-Modified-Since", "If-Unmodified-Since"):
        headers = CIMultiDict({name: text})
        for modified in (WHEN, None):
            assert precondition_failed(headers, '"a"', modified) in (True, False)
            assert not_modified(headers, '"a"', modified) in (True, False)
            assert range_applies(headers, '"a"', modified) in (True, False)
        assert needs_last_modified(headers) in (True, False)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"If-Modified-Since": SAME}, True),
        ({"If-Modified-Since": SAME, "If-None-Match": '"a"'}, False),
        ({"If-Unmodified-Since": SAME}, True),
        ({"If-Unmodified-Since": SAME, "If-Match": '"a"'}, False),
        ({"If-Range": SAME}, True),
        ({"If-Range": '"a"'}, False),
    ],
)
def test_needs_last_modified_for_conditions_by_date(headers: dict[str, str], expected: bool) -> None:
    assert needs_last_modified(CIMultiDict(headers)) is expected
