"""Copies bytes from one socket to another with splice(2): they never enter this process's memory."""

import asyncio
import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from tagify import waits

PIPE_BYTES = 512 << 10
"""Capacity of the pipe between the two sockets, in bytes; the kernel may grant less."""

SPLICE_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


class Splice:
    """A pipe between two sockets, closed by its `with` block; the sockets stay open.

    While it is in use, nothing else may read from the source or write to the sink.
    """

    def __init__(self, source: int, sink: int) -> None:
        # Duplicates, because the event loop has registered the originals for their transports.
        self._source = os.dup(source)
        self._sink = os.dup(sink)
        self.waited_s = 0.0
        """Seconds that it waited for the source."""
        self._pipe_out, self._pipe_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with suppress(OSError):
            fcntl.fcntl(self._pipe_in, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in (self._source, self._sink, self._pipe_in, self._pipe_out):
            os.close(fd)

    async def copy(self, length: int, *, read_timeout_s: float, write_timeout_s: float) -> int:
        """Copy `length` bytes; the number written, less where the sink accepts none for `write_timeout_s`.

        Raises EOFError where the source ends, fails or sends nothing for `read_timeout_s`; OSError
        where the sink fails.
        """
        written = read = 0
        while written < length:
            if read == written:
                read += await self._fill_pipe(length - read, read_timeout_s)
            try:
                written += await self._drain_pipe(read - written, write_timeout_s)
            except TimeoutError:
                break
            # Both sockets may stay ready for a long time: let other tasks run.
            await asyncio.sleep(0)
        return written

    async def _fill_pipe(self, limit: int, timeout_s: float) -> int:
        try:
            while True:
                with suppress(BlockingIOError):
                    read = os.splice(self._source, self._pipe_in, min(limit, PIPE_BYTES), flags=SPLICE_FLAGS)
                    break
                await self._wait_for_source(timeout_s)
        except (OSError, TimeoutError) as error:
            raise EOFError from error
        if not read:
            raise EOFError
        return read

    async def _wait_for_source(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        start = time.perf_counter()
        try:
            await _wait_ready(loop.add_reader, loop.remove_reader, self._source, timeout_s)
        finally:
            self.waited_s += time.perf_counter() - start

    async def _drain_pipe(self, limit: int, timeout_s: float) -> int:
        while True:
            with suppress(BlockingIOError):
                return os.splice(self._pipe_out, self._sink, limit, flags=SPLICE_FLAGS)
            loop = asyncio.get_running_loop()
            with waits.Waiting("client"):
                await _wait_ready(loop.add_writer, loop.remove_writer, self._sink, timeout_s)


async def _wait_ready(
    add: Callable[[int, Callable[[], None]], None],
    remove: Callable[[int], object],
    fd: int,
    timeout_s: float,
) -> None:
    """Wait until the event loop reports the descriptor as ready. Raises TimeoutError."""
    future = asyncio.get_running_loop().create_future()
    add(fd, lambda: None if future.done() else future.set_result(None))
    try:
        async with asyncio.timeout(timeout_s):
            await future
    finally:
        remove(fd)
