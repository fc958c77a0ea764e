"""Headers of media: file names cannot inject headers, and no type is sent that a browser executes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.http.headers import content_disposition, safe_content_type
from edge.http.multipart_byteranges import MultipartByteranges
from edge.http.ranges import ByteRange


@given(st.text(max_size=50))
def test_content_disposition_of_any_name_is_one_ascii_line(name: str) -> None:
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
def test_active_content_is_served_as_octet_stream(mime: str, expected: str) -> None:
    assert safe_content_type(mime) == expected


def test_multipart_length_is_known_before_the_body() -> None:
    multipart = MultipartByteranges((ByteRange(5, 9), ByteRange(0, 2)), 100, "image/jpeg")
    body = b"".join(part.head + bytes(part.byte_range.length) for part in multipart.parts)
    assert len(body + multipart.closing_delimiter) == multipart.content_length
