"""Find free TCP ports, and probe ports and URLs for a listening server."""

import asyncio
import contextlib
import random
import socket

import aiohttp

FIRST_PORT = 20_000
LAST_PORT = 32_000
"""Range searched for free ports: below the kernel's ephemeral ports (32768 and up on Linux)."""

PROBE_TIMEOUT_S = 1.0


def is_port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def find_free_ports(length: int, start: int | None = None) -> int:
    """Return the first of `length` consecutive free ports at or after `start`. Raises OSError if none.

    Without `start` the search begins at a random port, so that two programs searching at the
    same time are unlikely to find the same ones.
    """
    start = random.randrange(FIRST_PORT, LAST_PORT - 1000) if start is None else start  # noqa: S311 - no secret
    port = start
    while port + length <= LAST_PORT:
        busy = [offset for offset in range(length) if not is_port_free(port + offset)]
        if not busy:
            return port
        port += busy[-1] + 1
    raise OSError(f"no {length} free ports in a row between {start} and {LAST_PORT}")


async def accepts_connections(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server accepts connections on the port."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            await writer.wait_closed()
            return True
    return False


async def http_responds(url: str, *, below: int = 300) -> bool:
    """Whether a GET of the URL returns a status lower than `below`, within PROBE_TIMEOUT_S."""
    timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            return response.status < below
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
