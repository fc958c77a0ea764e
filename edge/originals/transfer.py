"""The bytes of one object on their way from the store, and whether they are those that were promised."""

from collections.abc import Callable
from typing import Self

import aiohttp
from aiohttp import hdrs

from edge.http.headers import OCTET_STREAM
from tagify.errors import Unavailable


class Transfer:
    """The bytes of an object, or of a part of it, on their way. To be closed, as a block does.

    `ended` is told how many were received.
    """

    def __init__(self, response: aiohttp.ClientResponse, on_close: Callable[[int], None]) -> None:
        self._response = response
        self._on_close = on_close
        headers = response.headers
        self.length = _parse_length(headers.get(hdrs.CONTENT_LENGTH, ""))
        """How many bytes there are, as the store says; -1 where it says nothing."""
        self.content_range = headers.get(hdrs.CONTENT_RANGE)
        """Which of the object's they are, as HTTP writes it; None where they are all."""
        self.received = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, whether all has come or not."""
        self._response.release()
        self._on_close(self.received)

    @property
    def mime(self) -> str:
        """The type that the object was stored with."""
        return self._response.headers.get(hdrs.CONTENT_TYPE, OCTET_STREAM)

    @property
    def last_modified(self) -> str:
        """When the store says that it was last modified, as HTTP writes it."""
        return self._response.headers.get(hdrs.LAST_MODIFIED, "")

    @property
    def remaining(self) -> int:
        """Bytes that have not been received yet."""
        return self.length - self.received

    async def read_chunk(self) -> bytes:
        """The next bytes as they came; none once all have come. Raises Unavailable where it breaks."""
        if self.received == self.length:
            return b""
        try:
            chunk, _ = await self._response.content.readchunk()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("the S3 server broke off") from error
        self.received += len(chunk)
        if not chunk or self.received > self.length:
            raise Unavailable("the S3 server sends another length than it said")
        return chunk

    async def read_all(self) -> bytes:
        """All of it. Raises Unavailable where it breaks."""
        chunks = []
        while chunk := await self.read_chunk():
            chunks.append(chunk)
        return b"".join(chunks)

    def take_socket(self) -> tuple[int, bytes] | None:
        """The socket that the rest comes from, and what was read of it already; `read` no more then.

        None where there is no such socket: the transfer is over or encrypted.
        """
        connection = self._response.connection
        if connection is None or connection.transport is None or connection.protocol is None:
            return None
        if connection.transport.get_extra_info("ssl_object") is not None:
            return None
        fd = connection.transport.get_extra_info("socket").fileno()
        buffered = b"".join(iter(self._response.content.read_nowait, b""))
        connection.protocol.pause_reading()
        self.received += len(buffered)
        return fd, buffered


def _parse_length(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else -1
