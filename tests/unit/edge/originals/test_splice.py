"""Splice: copies all bytes in order, and reports a slow, closed or failing side."""

import asyncio
import os
import socket
from collections.abc import Iterator
from random import Random

import pytest

from edge.originals.splice import Splice

DATA = Random(3).randbytes(3_000_000)
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[tuple[Pair, Pair]]:
    """Two connections; of each the remote socket, then the local one given to Splice."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = []
        for _ in range(2):
            far = socket.create_connection(server.getsockname())
            near, _ = server.accept()
            for side in (far, near):
                side.setblocking(False)
            made.append((far, near))
    yield made[0], made[1]
    for far, near in made:
        far.close()
        near.close()


async def read(side: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length and (data := await asyncio.get_running_loop().sock_recv(side, 1 << 16)):
        received += data
    return bytes(received)


async def test_copies_exactly_the_requested_bytes(pairs: tuple[Pair, Pair]) -> None:
    (source, inlet), (sink, outlet) = pairs
    before = len(os.listdir("/proc/self/fd"))
    sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(source, DATA + b"next"))
    reading = asyncio.ensure_future(read(sink, len(DATA)))
    with Splice(inlet.fileno(), outlet.fileno()) as splice:
        assert await splice.copy(len(DATA), read_timeout_s=10, write_timeout_s=10) == len(DATA)
    assert await reading == DATA
    await sending
    assert await read(inlet, 4) == b"next"
    assert len(os.listdir("/proc/self/fd")) == before


async def test_closed_or_silent_source_raises_eof(pairs: tuple[Pair, Pair]) -> None:
    (source, inlet), (_, outlet) = pairs
    with Splice(inlet.fileno(), outlet.fileno()) as splice:
        with pytest.raises(EOFError):
            await splice.copy(1, read_timeout_s=0.02, write_timeout_s=10)
        source.send(b"abc")
        source.close()
        with pytest.raises(EOFError):
            await splice.copy(9, read_timeout_s=10, write_timeout_s=10)


async def test_full_sink_ends_the_copy_with_the_bytes_written(pairs: tuple[Pair, Pair]) -> None:
    (source, inlet), (sink, outlet) = pairs
    outlet.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(source, DATA))
    with Splice(inlet.fileno(), outlet.fileno()) as splice:
        written = await splice.copy(len(DATA), read_timeout_s=10, write_timeout_s=0.05)
    assert written < len(DATA)
    assert await read(sink, written) == DATA[:written]
    sending.cancel()


async def test_closed_sink_raises(pairs: tuple[Pair, Pair]) -> None:
    (source, inlet), (sink, outlet) = pairs
    sink.close()
    sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(source, DATA))
    with Splice(inlet.fileno(), outlet.fileno()) as splice, pytest.raises(ConnectionError):
        await splice.copy(len(DATA), read_timeout_s=10, write_timeout_s=10)
    sending.cancel()
