"""A `multipart/byteranges` response body (RFC 9110, section 14.6). Pure."""

import secrets
from collections.abc import Sequence

from edge.http.ranges import ByteRange


class MultipartByteranges:
    """Delimiters, part heads and total length of a multipart body, computed before the first byte is sent."""

    def __init__(self, ranges: Sequence[ByteRange], total: int, mime: str) -> None:
        """`total`: length of the whole representation, in bytes."""
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/byteranges; boundary={boundary}"
        self.part_heads = tuple(
            f"\r\n--{boundary}\r\n"
            f"Content-Type: {mime}\r\n"
            f"Content-Range: {byte_range.content_range(total)}\r\n\r\n".encode()
            for byte_range in ranges
        )
        self.closing_delimiter = f"\r\n--{boundary}--\r\n".encode()
        self.content_length = (
            sum(byte_range.length for byte_range in ranges)
            + sum(map(len, self.part_heads))
            + len(self.closing_delimiter)
        )
