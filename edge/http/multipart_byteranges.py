"""A `multipart/byteranges` response body (RFC 9110, section 14.6). Pure."""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from edge.http.ranges import ByteRange


class BodyPart(NamedTuple):
    """One byte range of a response body, and the bytes sent before it: empty but in a multipart body."""

    byte_range: ByteRange
    head: bytes = b""


class MultipartByteranges:
    """Delimiters, part heads and total length of a multipart body, computed before the first byte is sent."""

    def __init__(self, ranges: Sequence[ByteRange], total: int, mime: str) -> None:
        """`total`: length of the whole representation, in bytes."""
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/byteranges; boundary={boundary}"
        self.parts = tuple(
            BodyPart(byte_range, _part_head(boundary, mime, byte_range.content_range(total)))
            for byte_range in ranges
        )
        self.closing_delimiter = f"\r\n--{boundary}--\r\n".encode()
        body_length = sum(part.byte_range.length + len(part.head) for part in self.parts)
        self.content_length = body_length + len(self.closing_delimiter)


def _part_head(boundary: str, mime: str, content_range: str) -> bytes:
    return f"\r\n--{boundary}\r\nContent-Type: {mime}\r\nContent-Range: {content_range}\r\n\r\n".encode()
