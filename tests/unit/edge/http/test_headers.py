"""Headers of media: names that nothing can break out of, and nothing that a browser runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.http.byteranges import Multipart
from edge.http.headers import disposition, passive
from edge.http.ranges import Range


@given(st.text(max_size=50))
def test_any_name_makes_a_header_of_one_plain_line(name: str) -> None:
    header = disposition(name, download=False)
    assert header.isascii()
    assert "\n" not in header
    assert "\r" not in header
    assert header.count('"') == 2


@pytest.mark.parametrize(
    ("mime", "expected"),
    [
        ("image/jpeg", "image/jpeg"),
        ("image/heic", "image/heic"),
        ("image/vnd.microsoft.icon", "image/vnd.microsoft.icon"),
        ("image/svg+xml", "application/octet-stream"),
        ("text/html", "application/octet-stream"),
        ("image/png\r\nX: y", "application/octet-stream"),
        ("image/jpeg; charset=x", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_nothing_active_is_served(mime: str, expected: str) -> None:
    assert passive(mime) == expected


def test_the_length_of_several_parts_is_known_before() -> None:
    parts = (Range(5, 9), Range(0, 2))
    made = Multipart(parts, 100, "image/jpeg")
    body = b"".join(preface + bytes(part.length) for preface, part in zip(made.prefaces, parts, strict=True))
    assert len(body + made.closing) == made.content_length
