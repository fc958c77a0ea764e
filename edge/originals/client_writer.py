"""Writes a response body to one client. Waiting for the client to read is a separate call with a timeout."""

import asyncio

from aiohttp import web

from tagify import waits
from tagify.web._compat_aiohttp import stream_writer


class ClientWriter:
    """Writes the body of a response whose head is prepared.

    aiohttp's own `write` waits for the client without a timeout, and cannot be cancelled and resumed.
    """

    def __init__(self, request: web.Request) -> None:
        self._protocol = request.protocol
        self._writer = stream_writer(request)
        self._draining: asyncio.Future[None] | None = None

    async def write(self, data: bytes) -> None:
        """Write without waiting, to memory where the socket is full. Raises ConnectionError."""
        await self._writer.write(data, drain=False)

    async def wait_writable(self, timeout_s: float) -> bool:
        """Wait until the write buffer has capacity; False after the timeout. Raises ConnectionError."""
        if not self._protocol.writing_paused:
            return True
        if self._draining is None or self._draining.done():
            self._draining = asyncio.ensure_future(self._writer.drain())
        with waits.Waiting("client"):
            done, _ = await asyncio.wait({self._draining}, timeout=timeout_s)
        for drained in done:
            drained.result()
        return bool(done)

    async def flushed_socket(self, timeout_s: float) -> int | None:
        """The client's file descriptor once the write buffer is empty; None after the timeout.

        None too where raw bytes cannot be written to it: the client has disconnected, or uses TLS.
        """
        transport = self._protocol.transport
        if transport is None or transport.get_extra_info("ssl_object") is not None:
            return None
        transport.set_write_buffer_limits(high=0)
        try:
            if not await self.wait_writable(timeout_s) or transport.is_closing():
                return None
        finally:
            transport.set_write_buffer_limits()
        fd: int = transport.get_extra_info("socket").fileno()
        return fd

    def close(self) -> None:
        """Cancel a wait that is still pending."""
        if self._draining is not None and not self._draining.cancel() and not self._draining.cancelled():
            self._draining.exception()  # retrieved, so that asyncio does not log it
