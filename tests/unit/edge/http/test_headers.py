"""Headers of media: names that nothing can break out of, and nothing that a browser runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.http.byteranges import MultipartByteranges
from edge.http.headers import content_disposition, safe_content_type
from edge.http.ranges import ByteRange


@given(st.text(max_size=50))
def test_any_name_makes_a_header_of_one_plain_line(name: str) -> None:
    header = content_disposition(name, download=False)
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
    assert safe_content_type(mime) == expected


def test_the_length_of_several_parts_is_known_before() -> None:
    parts = (ByteRange(5, 9), ByteRange(0, 2))
    made = MultipartByteranges(parts, 100, "image/jpeg")
    body = b"".join(
        preface + bytes(part.length) for preface, part in zip(made.part_heads, parts, strict=True)
    )
    assert len(body + made.closing_delimiter) == made.content_length
