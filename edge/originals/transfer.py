"""The body of one response of the object store, checked against its announced length."""

import time
from collections.abc import Callable
from typing import Self

import aiohttp
from aiohttp import hdrs

from edge.http.headers import OCTET_STREAM
from tagify.errors import Unavailable


class Transfer:
    """An object, or a byte range of it, while it is received. Close it, by a `with` block or `close`.

    `on_close` is called with the transfer.
    """

    def __init__(self, response: aiohttp.ClientResponse, on_close: Callable[["Transfer"], None]) -> None:
        self._response = response
        self._on_close = on_close
        headers = response.headers
        self.length = _parse_length(headers.get(hdrs.CONTENT_LENGTH, ""))
        """Content-Length; -1 where the store sends none."""
        self.content_range = headers.get(hdrs.CONTENT_RANGE)
        """Content-Range; None where the whole object is sent."""
        self.received = 0
        self.waited_s = 0.0
        """Seconds that reads of the body waited for the store."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the connection, also in the middle of the body."""
        self._response.release()
        self._on_close(self)

    @property
    def mime(self) -> str:
        """The media type that the object was stored with."""
        return self._response.headers.get(hdrs.CONTENT_TYPE, OCTET_STREAM)

    @property
    def last_modified(self) -> str:
        """Last-Modified as the store sends it, or empty."""
        return self._response.headers.get(hdrs.LAST_MODIFIED, "")

    @property
    def remaining(self) -> int:
        """Bytes not received yet."""
        return self.length - self.received

    async def read_chunk(self) -> bytes:
        """The next chunk as received; empty at the end. Raises Unavailable."""
        if self.received == self.length:
            return b""
        start = time.perf_counter()
        try:
            chunk, _ = await self._response.content.readchunk()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("the S3 server closed the connection or stopped sending") from error
        finally:
            self.waited_s += time.perf_counter() - start
        self.received += len(chunk)
        if not chunk or self.received > self.length:
            raise Unavailable("the S3 server sent another length than it announced")
        return chunk

    async def read_all(self) -> bytes:
        """The whole body. Raises Unavailable."""
        chunks = []
        while chunk := await self.read_chunk():
            chunks.append(chunk)
        return b"".join(chunks)

    def take_socket(self) -> tuple[int, bytes] | None:
        """Stop reading here: the socket's descriptor for the rest, and the bytes already buffered.

        None where raw bytes cannot be read from it: the body has ended, or the connection uses TLS.
        `read_chunk` must not be called afterwards.
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
