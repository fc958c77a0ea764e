"""A fault-injecting TCP proxy: latency, bandwidth, truncation, resets, black holes, refusals, bit flips."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

READ = 16 << 10
NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER with a timeout of zero: closing sends a reset."""

OTHER_METHODS = (b"GET ", b"HEAD ", b"POST ", b"DELETE ")


class ChaosProxy:
    """Forwards connections to a server. The faults may be changed at any time.

    `latency_s` delays the first bytes of the server after each request; `rate` limits its bytes
    per second. After `cut_after` bytes from the server the connection is closed, or reset if
    `reset` is set. `blackhole` accepts connections and forwards nothing in either direction.
    `refuse` resets new connections. `canned_response` replaces the response to every request.
    `damaged_puts` is the number of PUT requests, from now on, in whose body one bit is flipped.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._server: asyncio.Server | None = None
        self._live: set[asyncio.Task[None]] = set()
        self.latency_s = 0.0
        self.rate: float | None = None
        self.cut_after: int | None = None
        self.reset = False
        self.blackhole = False
        self.refuse = False
        self.canned_response: bytes | None = None
        self.damaged_puts = 0
        self.port = 0
        self.accepted_count = 0
        """Number of connections accepted so far."""

    @property
    def endpoint(self) -> str:
        """The proxy's URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        """Number of open connections."""
        return len(self._live)

    def clear_faults(self) -> None:
        """Forward without faults from now on."""
        self.latency_s, self.rate, self.cut_after, self.canned_response = 0.0, None, None, None
        self.damaged_puts = 0
        self.reset = self.blackhole = self.refuse = False

    async def drop_connections(self) -> None:
        """Close all open connections."""
        live = set(self._live)
        for task in live:
            task.cancel()
        await asyncio.gather(*live, return_exceptions=True)

    async def start(self) -> None:
        """Listen on a free loopback port."""
        self._server = await asyncio.start_server(self._handle_connection, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and close all connections."""
        if self._server is not None:
            self._server.close()
        await self.drop_connections()

    async def _handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.accepted_count += 1
        self._live.add(task)
        try:
            if not self.refuse:
                await self._relay(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # a side has disconnected, or the test has ended
        finally:
            self._live.discard(task)
            self._close_connection(writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
        request_seen = asyncio.Event()
        directions = (
            asyncio.ensure_future(self._forward_requests(reader, upstream_writer, writer, request_seen)),
            asyncio.ensure_future(self._forward_responses(upstream_reader, writer, request_seen)),
        )
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            upstream_writer.transport.abort()

    async def _forward_requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        request_seen: asyncio.Event,
    ) -> None:
        in_put = False
        while data := await reader.read(READ):
            await self._wait_while_blackholed()
            request_seen.set()
            in_put = data.startswith(b"PUT ") or (in_put and not data.startswith(OTHER_METHODS))
            if in_put and self.damaged_puts and (damaged := flip_bit_of_body(data)):
                self.damaged_puts, in_put, data = self.damaged_puts - 1, False, damaged
            if self.canned_response is None:
                writer.write(data)
                await writer.drain()
            elif b"\r\n\r\n" in data:
                await asyncio.sleep(self.latency_s)
                back.write(self.canned_response)

    async def _forward_responses(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request_seen: asyncio.Event
    ) -> None:
        passed = 0
        while data := await reader.read(READ):
            await self._wait_while_blackholed()
            if request_seen.is_set():
                request_seen.clear()
                await asyncio.sleep(self.latency_s)
            if self.rate is not None:
                await asyncio.sleep(len(data) / self.rate)
            cut = self.cut_after is not None and passed + len(data) > self.cut_after
            writer.write(data[: max(0, (self.cut_after or 0) - passed)] if cut else data)
            await writer.drain()
            if cut:
                return
            passed += len(data)

    async def _wait_while_blackholed(self) -> None:
        while self.blackhole:
            await asyncio.sleep(0.01)

    def _close_connection(self, writer: asyncio.StreamWriter) -> None:
        if self.reset or self.refuse:
            with contextlib.suppress(OSError, AttributeError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            writer.transport.abort()
        else:
            writer.close()


def flip_bit_of_body(data: bytes) -> bytes | None:
    """The data with a bit flipped in its last byte; None if it is the head of a request without a body."""
    if data.startswith(b"PUT ") and not data.partition(b"\r\n\r\n")[2]:
        return None
    return data[:-1] + bytes([data[-1] ^ 1])


@asynccontextmanager
async def chaos_proxy(endpoint: str) -> AsyncIterator[ChaosProxy]:
    """A proxy for the server at this URL, closed at the end of the block."""
    parts = urlsplit(endpoint)
    proxy = ChaosProxy(parts.hostname or "127.0.0.1", parts.port or 80)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()
