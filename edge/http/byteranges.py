"""Several parts of one body in one answer: `multipart/byteranges` of RFC 9110, section 14.6. Pure."""

import secrets
from collections.abc import Sequence

from edge.http.ranges import Range


class Multipart:
    """What goes between the parts of an answer, all known before the first byte is sent."""

    def __init__(self, parts: Sequence[Range], length: int, mime: str) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/byteranges; boundary={boundary}"
        self.prefaces = tuple(
            f"\r\n--{boundary}\r\nContent-Type: {mime}\r\nContent-Range: {part.of(length)}\r\n\r\n".encode()
            for part in parts
        )
        self.closing = f"\r\n--{boundary}--\r\n".encode()
        self.content_length = (
            sum(part.length for part in parts) + sum(map(len, self.prefaces)) + len(self.closing)
        )
