"""Bytes that the kernel passes on: all of them and in order, whatever either side does."""

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
    """Two connections, as the middle sees them: the far end, then the near one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = []
        for _ in range(2):
            far = socket.create_connection(server.getsockname())
            near, _ = server.accept()
            for end in (far, near):
                end.setblocking(False)
            made.append((far, near))
    yield made[0], made[1]
    for far, near in made:
        far.close()
        near.close()


async def read(end: socket.socket, length: int) -> bytes:
    got = bytearray()
    while len(got) < length and (data := await asyncio.get_running_loop().sock_recv(end, 1 << 16)):
        got += data
    return bytes(got)


async def test_all_bytes_are_passed_on_and_no_more(pairs: tuple[Pair, Pair]) -> None:
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


async def test_a_source_that_ends_or_is_silent_is_an_end(pairs: tuple[Pair, Pair]) -> None:
    (source, inlet), (_, outlet) = pairs
    with Splice(inlet.fileno(), outlet.fileno()) as splice:
        with pytest.raises(EOFError):
            await splice.copy(1, read_timeout_s=0.02, write_timeout_s=10)
        source.send(b"abc")
        source.close()
        with pytest.raises(EOFError):
            await splice.copy(9, read_timeout_s=10, write_timeout_s=10)


async def test_a_sink_that_is_full_is_told_by_what_it_took(pairs: tuple[Pair, Pair]) -> None:
    (source, inlet), (sink, outlet) = pairs
    outlet.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(source, DATA))
    with Splice(inlet.fileno(), outlet.fileno()) as splice:
        passed = await splice.copy(len(DATA), read_timeout_s=10, write_timeout_s=0.05)
    assert passed < len(DATA)
    assert await read(sink, passed) == DATA[:passed]
    sending.cancel()


async def test_a_sink_that_has_left_is_an_error(pairs: tuple[Pair, Pair]) -> None:
    (source, inlet), (sink, outlet) = pairs
    sink.close()
    sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(source, DATA))
    with Splice(inlet.fileno(), outlet.fileno()) as splice, pytest.raises(ConnectionError):
        await splice.copy(len(DATA), read_timeout_s=10, write_timeout_s=10)
    sending.cancel()
