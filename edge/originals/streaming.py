"""Streams ranges of an original from the object store to one client, with back-pressure from the client."""

import logging
from collections.abc import Iterable

from aiohttp import hdrs, web

from edge.http.multipart_byteranges import BodyPart
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
"""A client that reads nothing for this long loses its upstream connection, in seconds."""

CLIENT_STALL_S = 60.0
"""A client that reads nothing for this long is disconnected, in seconds."""

MIN_SPLICE_BYTES = 1 << 20
"""Remaining bytes from which splice(2) is used; it costs the upstream connection, so less is copied here."""


class ResponseAborted(Exception):
    """The client's connection was closed, because the rest of the body cannot be sent."""


class StreamingResponse:
    """Sends one response made of ranges of one original.

    The head is sent with the first byte of the body, so that failures before it become a problem
    response. A later failure aborts the connection: its head states more bytes than follow.
    """

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        upstream: Upstream,
        content: Content,
        length: int,
        *,
        dated_by_store: bool,
        timing: ServerTiming,
        bytes_out: Counter,
    ) -> None:
        """`length`: of the whole original, in bytes. `dated_by_store`: copy the store's Last-Modified."""
        self._request = request
        self._response = response
        self._upstream = upstream
        self._content = content
        self._length = length
        self._writer = ClientWriter(request)
        self._dated_by_store = dated_by_store
        self._timing = timing
        self._bytes_out = bytes_out

    async def send(self, parts: Iterable[BodyPart], closing_delimiter: bytes = b"") -> None:
        """Send the parts. Raises NotFound, Busy and Unavailable before the head, else ResponseAborted."""
        try:
            for byte_range, part_head in parts:
                await self._send_range(byte_range, part_head)
            await self._response.write_eof(closing_delimiter)
        except (Problem, ConnectionError) as error:
            if not self._response.prepared:
                raise
            logger.info("response aborted: %s", error)
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ResponseAborted from error
        finally:
            self._writer.close()

    async def _send_range(self, byte_range: ByteRange, part_head: bytes) -> None:
        """Send one range, over further upstream connections where the client was slow."""
        first, last = byte_range.first, byte_range.last
        while first <= last:
            remaining = ByteRange(first, last)
            requested = None if remaining.length == self._length else remaining
            with await self._upstream.open_original(self._content, self._length, requested) as transfer:
                await self._start(transfer, part_head)
                first += await self._copy(transfer)
            part_head = b""
            if first <= last and not await self._writer.wait_writable(CLIENT_STALL_S):
                raise Unavailable("the client does not read")

    async def _start(self, transfer: Transfer, part_head: bytes) -> None:
        """Prepare the head of the response, once, and write that of the part."""
        if not self._response.prepared:
            self._timing.record("s3")
            self._response.headers[SERVER_TIMING] = self._timing.header_value
            if self._dated_by_store and transfer.last_modified:
                self._response.headers[hdrs.LAST_MODIFIED] = transfer.last_modified
            await self._response.prepare(self._request)
        if part_head:
            await self._writer.write(part_head)

    async def _copy(self, transfer: Transfer) -> int:
        """Copy the transfer to the client, until SLOW_CLIENT_S passes without a read; the bytes copied."""
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
        """Let the kernel copy the rest, or what a slow client reads of it; False where it cannot."""
        client_fd = await self._writer.flushed_socket(SLOW_CLIENT_S)
        source = transfer.take_socket() if client_fd is not None else None
        if client_fd is None or source is None:
            return False
        upstream_fd, buffered = source
        await self._writer.write(buffered)
        if await self._writer.flushed_socket(SLOW_CLIENT_S) != client_fd:
            return True
        with Splice(upstream_fd, client_fd) as splice:
            try:
                transfer.received += await splice.copy(
                    transfer.remaining,
                    read_timeout_s=self._upstream.read_timeout_s,
                    write_timeout_s=SLOW_CLIENT_S,
                )
            except EOFError as error:
                raise Unavailable("the S3 server closed the connection or stopped sending") from error
            except OSError as error:
                raise ConnectionResetError("the client closed the connection") from error
            finally:
                transfer.waited_s += splice.waited_s
        return True
