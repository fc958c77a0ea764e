"""Answers whose bytes are there before anybody asks: little is left to do when one is sent."""

import re
import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def head_of(headers: Mapping[str, str], length: int) -> bytes:
    """The head of a 200 with a body of so many bytes, without its end.

    Raises ValueError where a header has a control character, such as the end of a line.
    """
    lines = [f"{name}: {text}" for name, text in headers.items()]
    if _CONTROLS.search("".join(lines)):
        raise ValueError("a control character in a header")
    lines += [f"{hdrs.CONTENT_LENGTH}: {length}", f"{hdrs.SERVER}: {SERVER_SOFTWARE}", ""]
    return "\r\n".join(("HTTP/1.1 200 OK", *lines)).encode()


class Prebuilt(web.StreamResponse):
    """A 200 for one request that `fits`: a head of `head_of`, more lines of it, and the body.

    No signal of an application sees it, and its `headers` are empty: it is sent as it is. Whoever
    names the lines answers for what is in them; each ends as HTTP ends a line.
    """

    def __init__(self, head: bytes, lines: str, body: bytes | bytearray) -> None:
        super().__init__()
        more = f"{lines}{hdrs.DATE}: {_date(int(time.time()))}\r\n\r\n"
        self._bytes = b"".join((head, more.encode(), body))

    @staticmethod
    def fits(request: web.BaseRequest) -> bool:
        """Whether it is all that this request may be answered: HTTP/1.1 over a connection that is kept,
        without a body that would have to be read or refused."""
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

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - it is whole
        # The connection holds its last answer until the next one, which may be a minute.
        whole, self._bytes = self._bytes, b""
        await self._writer.write_eof(whole)


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
