"""Answers whose bytes are there before anybody asks: little is left to do when one is sent."""

import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE


def head_of(headers: Mapping[str, str], length: int) -> bytes:
    """The head of a 200 with a body of so many bytes, without its end.

    Raises ValueError where a header would begin another line.
    """
    lines = [f"{name}: {text}" for name, text in headers.items()]
    lines += [f"{hdrs.CONTENT_LENGTH}: {length}", f"{hdrs.SERVER}: {SERVER_SOFTWARE}", ""]
    head = "\r\n".join(("HTTP/1.1 200 OK", *lines)).encode()
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
        raise ValueError("a header of more than one line")
    return head


class Prebuilt(web.StreamResponse):
    """A 200 for one request that `fits`: a head of `head_of`, more lines of it, and the body.

    No signal of an application sees it, and its `headers` are empty: it is sent as it is.
    """

    def __init__(self, head: bytes, lines: str, body: bytes | bytearray) -> None:
        super().__init__()
        more = f"{lines}{hdrs.DATE}: {_date(int(time.time()))}\r\n\r\n"
        self._bytes = b"".join((head, more.encode(), body))

    @staticmethod
    def fits(request: web.BaseRequest) -> bool:
        """Whether the head is right for this request: HTTP/1.1 over a connection that is kept."""
        return request.keep_alive and request.version == HttpVersion11

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        self._writer = request.writer
        return self._writer

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - it is whole
        await self._writer.write_eof(self._bytes)


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
