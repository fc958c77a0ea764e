"""A proxy in front of a real server that misbehaves on demand: slow, cut off, reset, silent, gone."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

READ = 16 << 10
NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER of no time at all: closing sends a reset."""


class ChaosProxy:
    """Passes connections on to a server. What it does to them may be changed at any time.

    `latency_s` delays the server's first bytes after each request, `rate` bounds its bytes a
    second. After `cut_after` bytes from the server a connection is closed, or reset where `reset`
    is set. A `blackhole` accepts and passes nothing on, in either direction. `refuse` resets a
    new connection at once. `answer` is sent in place of the server's own to every request head.
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
        self.port = 0
        self.accepted_count = 0
        """Connections so far."""

    @property
    def endpoint(self) -> str:
        """Where it listens, as a URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        """Connections now."""
        return len(self._live)

    def clear_faults(self) -> None:
        """Pass on faithfully from now on."""
        self.latency_s, self.rate, self.cut_after, self.canned_response = 0.0, None, None, None
        self.reset = self.blackhole = self.refuse = False

    async def drop_connections(self) -> None:
        """End every connection there is."""
        live = set(self._live)
        for task in live:
            task.cancel()
        await asyncio.gather(*live, return_exceptions=True)

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._handle_connection, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End all."""
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
            pass  # either side has left, or the test is over
        finally:
            self._live.discard(task)
            self._close_connection(writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
        asked = asyncio.Event()
        ways = (
            asyncio.ensure_future(self._forward_requests(reader, upstream_writer, writer, asked)),
            asyncio.ensure_future(self._forward_responses(upstream_reader, writer, asked)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            upstream_writer.transport.abort()

    async def _forward_requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        asked: asyncio.Event,
    ) -> None:
        while data := await reader.read(READ):
            await self._wait_while_blackholed()
            asked.set()
            if self.canned_response is None:
                writer.write(data)
                await writer.drain()
            elif b"\r\n\r\n" in data:
                await asyncio.sleep(self.latency_s)
                back.write(self.canned_response)

    async def _forward_responses(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event
    ) -> None:
        passed = 0
        while data := await reader.read(READ):
            await self._wait_while_blackholed()
            if asked.is_set():
                asked.clear()
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


@asynccontextmanager
async def chaos_proxy(endpoint: str) -> AsyncIterator[ChaosProxy]:
    """A proxy in front of the server at this URL, for as long as the block lasts."""
    parts = urlsplit(endpoint)
    proxy = ChaosProxy(parts.hostname or "127.0.0.1", parts.port or 80)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()
