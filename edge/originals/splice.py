"""Bytes from one socket to another inside the kernel: they never become memory of this process."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Self

PIPE = 512 << 10
"""Bytes between the two sockets, in bytes; the kernel may grant less."""

FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


class Splice:
    """A pipe between two sockets. Close it; the sockets stay with their owners.

    Neither owner may read from the source, nor write to the sink, for as long as it is in use.
    """

    def __init__(self, source: int, sink: int) -> None:
        # Descriptors of our own: the event loop knows the others as those of its transports.
        self._source = os.dup(source)
        self._sink = os.dup(sink)
        self._out, self._in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with suppress(OSError):
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for number in (self._source, self._sink, self._in, self._out):
            os.close(number)

    async def move(self, length: int, *, silence_s: float, patience_s: float) -> int:
        """How many of `length` bytes were passed on: fewer where the sink takes none for `patience_s`.

        Raises EOFError where the source ends, breaks or sends none for `silence_s`; OSError where
        the sink breaks.
        """
        passed = taken = 0
        while passed < length:
            if taken == passed:
                taken += await self._take(length - taken, silence_s)
            try:
                passed += await self._give(taken - passed, patience_s)
            except TimeoutError:
                break
            # Both sides may be ready for long; so are others.
            await asyncio.sleep(0)
        return passed

    async def _take(self, most: int, silence_s: float) -> int:
        try:
            while True:
                with suppress(BlockingIOError):
                    taken = os.splice(self._source, self._in, min(most, PIPE), flags=FLAGS)
                    break
                loop = asyncio.get_running_loop()
                await _called(loop.add_reader, loop.remove_reader, self._source, silence_s)
        except (OSError, TimeoutError) as error:
            raise EOFError from error
        if not taken:
            raise EOFError
        return taken

    async def _give(self, most: int, patience_s: float) -> int:
        while True:
            with suppress(BlockingIOError):
                return os.splice(self._out, self._sink, most, flags=FLAGS)
            loop = asyncio.get_running_loop()
            await _called(loop.add_writer, loop.remove_writer, self._sink, patience_s)


async def _called(
    add: Callable[[int, Callable[[], None]], None],
    remove: Callable[[int], object],
    number: int,
    within_s: float,
) -> None:
    """Return when the loop says that the descriptor is ready. Raises TimeoutError."""
    future = asyncio.get_running_loop().create_future()
    add(number, lambda: None if future.done() else future.set_result(None))
    try:
        async with asyncio.timeout(within_s):
            await future
    finally:
        remove(number)
