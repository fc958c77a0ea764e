"""Ports of this machine that nobody listens on, and probes of those that somebody does."""

import asyncio
import contextlib
import random
import socket

import aiohttp

FIRST = 20_000
LAST = 32_000
"""Searched for free ports: below the range that the kernel gives to outgoing connections."""

PROBE_TIMEOUT_S = 1.0


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_block(length: int, start: int | None = None) -> int:
    """The first of `length` free ports in a row, from `start` on. Raises OSError where there are none.

    Without a start the search begins anywhere: two programs that look for ports at the same
    time would else find the same ones.
    """
    start = random.randrange(FIRST, LAST - 1000) if start is None else start  # noqa: S311 - no secret
    port = start
    while port + length <= LAST:
        taken = [offset for offset in range(length) if not is_free(port + offset)]
        if not taken:
            return port
        port += taken[-1] + 1
    raise OSError(f"no {length} free ports in a row between {start} and {LAST}")


async def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            await writer.wait_closed()
            return True
    return False


async def answers(url: str, *, below: int = 300) -> bool:
    """Whether a GET of the URL gives a status below this one."""
    timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            return response.status < below
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
