"""Responses assembled in advance: head and body are sent in one write, without aiohttp's header code."""

import re
import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def response_head(headers: Mapping[str, str], length: int) -> bytes:
    """Status line and headers of a 200 response, without the final empty line. `length` is in bytes.

    Raises ValueError when a header has a control character, such as a line break.
    """
    lines = [f"{name}: {text}" for name, text in headers.items()]
    if _CONTROL_CHARACTERS.search("".join(lines)):
        raise ValueError("control character in a header")
    lines += [f"{hdrs.CONTENT_LENGTH}: {length}", f"{hdrs.SERVER}: {SERVER_SOFTWARE}", ""]
    return "\r\n".join(("HTTP/1.1 200 OK", *lines)).encode()


class RawResponse(web.StreamResponse):
    """A 200 response made of a `response_head`, further header lines, and the body.

    For requests that pass `can_answer`. It is sent unchanged: no signal of the application runs, and
    its `headers` are empty. `header_lines` are not checked: the caller guarantees that they are valid
    and that each ends with CRLF.
    """

    def __init__(self, head: bytes, header_lines: str, body: bytes | bytearray) -> None:
        super().__init__()
        rest_of_head = f"{header_lines}{hdrs.DATE}: {_date(int(time.time()))}\r\n\r\n"
        self._message = b"".join((head, rest_of_head.encode(), body))

    @staticmethod
    def can_answer(request: web.BaseRequest) -> bool:
        """Whether a raw response fits this request: HTTP/1.1, keep-alive, and no request body, which
        would have to be read or refused."""
        return (
            request.keep_alive
            and request.version == HttpVersion11
            and not request.body_exists
            and hdrs.EXPECT not in request.headers
        )

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        self._writer = request.writer
        return self._writer

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - the message is complete
        # The connection keeps its last response until the next request, which may take a minute.
        message, self._message = self._message, b""
        await self._writer.write_eof(message)


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
