"""Bytes of an original on their way to one client, as fast as that client reads and no faster."""

import logging
from collections.abc import Iterable

from aiohttp import hdrs, web

from edge.http.ranges import ByteRange
from edge.http.server_timing import SERVER_TIMING, ServerTiming
from edge.originals.client_writer import ClientWriter
from edge.originals.splice import Splice
from edge.originals.transfer import Transfer
from edge.originals.upstream import Upstream
from tagify.errors import Problem, Unavailable
from tagify.metrics import Counter
from tagify.model import Content

logger = logging.getLogger(__name__)

SLOW_CLIENT_S = 2.0
"""A client that takes no bytes for this long gives its upstream connection back, in seconds."""

CLIENT_STALL_S = 60.0
"""A client that takes no bytes for this long is left, in seconds."""


MIN_SPLICE_BYTES = 1 << 20
"""From so many bytes on the kernel passes them on by itself, in bytes: it costs its upstream connection."""


BodyPart = tuple[ByteRange, bytes]
"""A part of an original, and what is sent before it."""


class ResponseAborted(Exception):
    """The connection was broken, for the answer cannot be whole any more."""


class StreamingResponse:
    """One answer made of parts of one original.

    Its head goes out when the first byte is at hand, so that all which can fail before fails as
    a problem. What fails later breaks the connection: the head has promised more bytes than come.
    `dated` has the store say when it was last modified.
    """

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        upstream: Upstream,
        content: Content,
        length: int,
        *,
        store_dates: bool,
        timing: ServerTiming,
        bytes_out: Counter,
    ) -> None:
        self._request = request
        self._response = response
        self._upstream = upstream
        self._content = content
        self._length = length
        self._writer = ClientWriter(request)
        self._store_dates = store_dates
        self._timing = timing
        self._bytes_out = bytes_out

    async def send(self, parts: Iterable[BodyPart], closing: bytes = b"") -> None:
        """Send these parts of the original. Raises NotFound, Busy, Unavailable, BrokenOff."""
        try:
            for part, preface in parts:
                await self._send_range(part, preface)
            await self._response.write_eof(closing)
        except (Problem, ConnectionError) as error:
            if not self._response.prepared:
                raise
            logger.info("an answer was broken off: %s", error)
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ResponseAborted from error
        finally:
            self._writer.close()

    async def _send_range(self, byte_range: ByteRange, preface: bytes) -> None:
        first, last = byte_range.first, byte_range.last
        while first <= last:
            remaining = ByteRange(first, last)
            some = None if remaining.length == self._length else remaining
            with await self._upstream.open_original(self._content, self._length, some) as transfer:
                await self._start(transfer, preface)
                first += await self._copy(transfer)
            preface = b""
            if first <= last and not await self._writer.wait_writable(CLIENT_STALL_S):
                raise Unavailable("the client does not read")

    async def _start(self, transfer: Transfer, preface: bytes) -> None:
        if not self._response.prepared:
            self._timing.record("s3")
            self._response.headers[SERVER_TIMING] = self._timing.header_value
            if self._store_dates and transfer.last_modified:
                self._response.headers[hdrs.LAST_MODIFIED] = transfer.last_modified
            await self._response.prepare(self._request)
        if preface:
            await self._writer.write(preface)

    async def _copy(self, transfer: Transfer) -> int:
        """Bytes passed on: all of the transfer, or those until the client was slow to take them."""
        try:
            while chunk := await transfer.read_chunk():
                await self._writer.write(chunk)
                if not await self._writer.wait_writable(SLOW_CLIENT_S):
                    break
                if transfer.remaining >= MIN_SPLICE_BYTES and await self._splice(transfer):
                    break
        finally:
            self._bytes_out.add(transfer.received)
        return transfer.received

    async def _splice(self, transfer: Transfer) -> bool:
        """Have the kernel pass on the rest, or what the client takes of it; False where it cannot."""
        client_fd = await self._writer.flushed_socket(SLOW_CLIENT_S)
        source = transfer.take_socket() if client_fd is not None else None
        if client_fd is None or source is None:
            return False
        fd, buffered = source
        await self._writer.write(buffered)
        if await self._writer.flushed_socket(SLOW_CLIENT_S) != client_fd:
            return True
        with Splice(fd, client_fd) as splice:
            try:
                transfer.received += await splice.copy(
                    transfer.remaining,
                    read_timeout_s=self._upstream.read_timeout_s,
                    write_timeout_s=SLOW_CLIENT_S,
                )
            except EOFError as error:
                raise Unavailable("the S3 server broke off") from error
            except OSError as error:
                raise ConnectionResetError("the client has left") from error
        return True
