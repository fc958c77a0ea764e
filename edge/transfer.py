"""The bytes of one object on their way from the store, and whether they are those that were promised."""

import aiohttp
from aiohttp import hdrs

from tagify.errors import Unavailable


class Transfer:
    """The bytes of an object, or of a part of it, on their way."""

    def __init__(self, response: aiohttp.ClientResponse, length: int) -> None:
        self._response = response
        self._length = length
        self.modified = response.headers.get(hdrs.LAST_MODIFIED, "")
        """When the store says that it was last modified, as HTTP writes it."""
        self.received = 0

    @property
    def left(self) -> int:
        """Bytes that have not been received yet."""
        return self._length - self.received

    async def read(self) -> bytes:
        """The next bytes as they came; none once all have come. Raises Unavailable where it breaks."""
        if self.received == self._length:
            return b""
        try:
            chunk, _ = await self._response.content.readchunk()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("the S3 server broke off") from error
        self.received += len(chunk)
        if not chunk or self.received > self._length:
            raise Unavailable("the S3 server sends another length than it said")
        return chunk

    async def all(self) -> bytes:
        """All of it. Raises Unavailable where it breaks."""
        chunks = []
        while chunk := await self.read():
            chunks.append(chunk)
        return b"".join(chunks)

    def handed_over(self) -> tuple[int, bytes] | None:
        """The socket that the rest comes from, and what was read of it already; `read` no more then.

        None where there is no such socket: the transfer is over or encrypted.
        """
        connection = self._response.connection
        if connection is None or connection.transport is None or connection.protocol is None:
            return None
        if connection.transport.get_extra_info("ssl_object") is not None:
            return None
        number = connection.transport.get_extra_info("socket").fileno()
        here = b"".join(iter(self._response.content.read_nowait, b""))
        connection.protocol.pause_reading()
        self.received += len(here)
        return number, here
