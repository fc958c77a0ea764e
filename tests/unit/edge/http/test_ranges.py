"""Ranges and preconditions against a plain model of RFC 9110."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from edge.http.conditional import needs_last_modified, not_modified, precondition_failed, range_applies
from edge.http.ranges import MAX_RANGES, ByteRange, UnsatisfiableRange, parse_range
from tests.support.request_strategies import range_lists, requests
from tests.support.rfc9110 import Answer, Asked, Spec, answer

LENGTH = 100
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SAME = "Fri, 02 Jan 2026 03:04:05 GMT"


def decided(asked: Asked, length: int) -> Answer:
    """What the edge's rooms decide, put together as its handler does."""
    headers = CIMultiDict(asked.headers())
    if precondition_failed(headers, '"a"', WHEN):
        return Answer(412)
    if not_modified(headers, '"a"', WHEN):
        return Answer(304)
    parts: tuple[ByteRange, ...] = ()
    if asked.method == "GET" and range_applies(headers, '"a"', WHEN):
        try:
            parts = parse_range(headers.get("Range"), length)
        except UnsatisfiableRange:
            return Answer(416)
    found = tuple(tuple(range(part.first, part.last + 1)) for part in parts)
    return Answer(206, found) if found else Answer(200, (tuple(range(length)),))


@given(requests(LENGTH, "a", WHEN))
def test_a_request_is_decided_as_the_rfc_says(asked: Asked) -> None:
    assert decided(asked, LENGTH) == answer(asked, LENGTH, "a", WHEN)


@given(st.integers(0, 20).flatmap(lambda length: st.tuples(st.just(length), range_lists(length))))
def test_ranges_of_short_bodies(case: tuple[int, tuple[Spec, ...]]) -> None:
    length, ranges = case
    asked = Asked(ranges=ranges)
    assert decided(asked, length) == answer(asked, length, "a", WHEN)


@given(st.text(max_size=40) | st.text("0123456789-, \t", max_size=40), st.integers(0, 100))
def test_any_other_header_is_the_whole_or_unsatisfiable_never_an_error(text: str, length: int) -> None:
    for header in (text, f"bytes={text}"):
        try:
            parts = parse_range(header, length)
        except UnsatisfiableRange:
            continue
        assert len(parts) <= MAX_RANGES
        assert all(0 <= part.first <= part.last < length for part in parts)


MALFORMED = ["", "bytes", "bytes=", "bytes=-", "bytes=,", "bytes=5-2", "bytes=a-b", "items=0-1", "bytes =0-1"]
MALFORMED += [
    "bytes=0-1,5-2",
    "bytes=0-1;3-4",
    "bytes=+0-1",
    "bytes=0 -1",
    "bytes=0-1, bytes=2-3",
    "bytes=\u0661-",
]


@pytest.mark.parametrize("header", [None, *MALFORMED])
def test_what_is_malformed_is_the_whole(header: str | None) -> None:
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
def test_ranges_are_cut_and_coalesced(header: str, expected: tuple[ByteRange, ...]) -> None:
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
def test_lists_of_entity_tags(tags: str, expected: bool) -> None:
    assert not_modified(CIMultiDict({"If-None-Match": tags}), '"a"', WHEN) is expected


def test_a_field_in_several_lines_is_one_list() -> None:
    headers = CIMultiDict([("If-None-Match", '"x"'), ("If-None-Match", '"a"'), ("If-Range", '"a"')])
    assert not_modified(headers, '"a"', WHEN)
    headers.add("If-Range", '"a"')
    assert not range_applies(headers, '"a"', WHEN)


@given(st.text(max_size=60) | st.from_regex(r"\w{3}, \d{1,3} \w{3} \d{1,8} \d\d:\d\d:\d\d( [+-]\d{1,20})?"))
def test_conditions_of_any_text_are_no_error(text: str) -> None:
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
def test_whether_a_date_decides(headers: dict[str, str], expected: bool) -> None:
    assert needs_last_modified(CIMultiDict(headers)) is expected
