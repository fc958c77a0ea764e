"""Bytes of an original on their way to one client, as fast as that client reads and no faster."""

import logging
from collections.abc import Iterable

from aiohttp import hdrs, web

from edge.http.ranges import Range
from edge.http.server_timing import SERVER_TIMING, Stopwatch
from edge.originals.client_writer import ClientWriter
from edge.originals.splice import Splice
from edge.originals.transfer import Transfer
from edge.originals.upstream import Origin
from tagify.errors import Problem, Unavailable
from tagify.metrics import Counter
from tagify.model import Content

logger = logging.getLogger(__name__)

PATIENCE_S = 2.0
"""A client that takes no bytes for this long gives its upstream connection back, in seconds."""

STALL_S = 60.0
"""A client that takes no bytes for this long is left, in seconds."""


SPLICED = 1 << 20
"""From so many bytes on the kernel passes them on by itself, in bytes: it costs its upstream connection."""


Piece = tuple[Range, bytes]
"""A part of an original, and what is sent before it."""


class BrokenOff(Exception):
    """The connection was broken, for the answer cannot be whole any more."""


class Streamed(web.StreamResponse):
    """An answer whose head leaves with its first bytes, in one packet."""

    _send_headers_immediately = False


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
        origin: Origin,
        content: Content,
        length: int,
        *,
        dated: bool,
        watch: Stopwatch,
        sent: Counter,
    ) -> None:
        self._request = request
        self._response = response
        self._origin = origin
        self._content = content
        self._length = length
        self._outlet = ClientWriter(request)
        self._dated = dated
        self._watch = watch
        self._sent = sent

    async def send(self, pieces: Iterable[Piece], closing: bytes = b"") -> None:
        """Send these parts of the original. Raises NotFound, Busy, Unavailable, BrokenOff."""
        try:
            for part, preface in pieces:
                await self._send(part, preface)
            await self._response.write_eof(closing)
        except (Problem, ConnectionError) as error:
            if not self._response.prepared:
                raise
            logger.info("an answer was broken off: %s", error)
            if self._request.transport is not None:
                self._request.transport.abort()
            raise BrokenOff from error
        finally:
            self._outlet.close()

    async def _send(self, part: Range, preface: bytes) -> None:
        first, last = part.first, part.last
        while first <= last:
            left = Range(first, last)
            some = None if left.length == self._length else left
            with await self._origin.open(self._content, self._length, some) as transfer:
                await self._begun(transfer, preface)
                first += await self._copied(transfer)
            preface = b""
            if first <= last and not await self._outlet.has_room(STALL_S):
                raise Unavailable("the client does not read")

    async def _begun(self, transfer: Transfer, preface: bytes) -> None:
        if not self._response.prepared:
            self._watch.lap("s3")
            self._response.headers[SERVER_TIMING] = self._watch.header
            if self._dated and transfer.modified:
                self._response.headers[hdrs.LAST_MODIFIED] = transfer.modified
            await self._response.prepare(self._request)
        if preface:
            await self._outlet.write(preface)

    async def _copied(self, transfer: Transfer) -> int:
        """Bytes passed on: all of the transfer, or those until the client was slow to take them."""
        try:
            while chunk := await transfer.read():
                await self._outlet.write(chunk)
                if not await self._outlet.has_room(PATIENCE_S):
                    break
                if transfer.left >= SPLICED and await self._spliced(transfer):
                    break
        finally:
            self._sent.add(transfer.received)
        return transfer.received

    async def _spliced(self, transfer: Transfer) -> bool:
        """Have the kernel pass on the rest, or what the client takes of it; False where it cannot."""
        sink = await self._outlet.socket(PATIENCE_S)
        source = transfer.handed_over() if sink is not None else None
        if sink is None or source is None:
            return False
        number, here = source
        await self._outlet.write(here)
        if await self._outlet.socket(PATIENCE_S) != sink:
            return True
        with Splice(number, sink) as splice:
            try:
                transfer.received += await splice.move(
                    transfer.left, silence_s=self._origin.silence_s, patience_s=PATIENCE_S
                )
            except EOFError as error:
                raise Unavailable("the S3 server broke off") from error
            except OSError as error:
                raise ConnectionResetError("the client has left") from error
        return True
