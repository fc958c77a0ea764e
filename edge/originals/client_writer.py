"""The way to one client: bytes go out at once; whether there is room for more is another question."""

import asyncio

from aiohttp import web

from tagify.web._compat_aiohttp import stream_writer


class ClientWriter:
    """Writes the body of an answer whose head is prepared.

    aiohttp's own `write` waits for room without end, and such a wait cannot be left and taken up again.
    """

    def __init__(self, request: web.Request) -> None:
        self._protocol = request.protocol
        self._writer = stream_writer(request)
        self._draining: asyncio.Future[None] | None = None

    async def write(self, data: bytes) -> None:
        """Hand it to the kernel, or to memory where the kernel takes no more. Raises ConnectionError."""
        await self._writer.write(data, drain=False)

    async def wait_writable(self, timeout_s: float) -> bool:
        """Whether more may be written, now or after a wait of at most this long. Raises ConnectionError."""
        if not self._protocol.writing_paused:
            return True
        if self._draining is None or self._draining.done():
            self._draining = asyncio.ensure_future(self._writer.drain())
        done, _ = await asyncio.wait({self._draining}, timeout=timeout_s)
        for drained in done:
            drained.result()
        return bool(done)

    async def flushed_socket(self, timeout_s: float) -> int | None:
        """The client's socket once all that was written has left; None where that takes longer.

        None too where there is no such socket: the client has gone, or what it gets is encrypted.
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
        """Wait no longer."""
        if self._draining is not None and not self._draining.cancel() and not self._draining.cancelled():
            self._draining.exception()  # retrieved: nobody waits for it any more
