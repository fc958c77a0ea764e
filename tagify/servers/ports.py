"""Find free TCP ports, and probe ports and URLs for a listening server."""

import asyncio
import contextlib
import random
import socket
from typing import Any

import aiohttp

from tagify.bind_errors import describe_bind_error

FIRST_PORT = 20_000
LAST_PORT = 32_000
"""Range searched for free ports: below the kernel's ephemeral ports (32768 and up on Linux)."""

PROBE_TIMEOUT_S = 1.0

_HTTP2_SETTINGS = 4
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _HTTP2_SETTINGS, 0, 0, 0, 0, 0))


def is_port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def bind_error(host: str, port: int) -> str | None:
    """Return why no server can listen on this host and port, as a clause; None if one can."""
    try:
        addresses = _addresses(host, port)
    except (OSError, UnicodeError):
        return f"{host} is not an address, nor a name that resolves to one"
    for family, address in addresses:
        try:
            _bind(family, address)
        except OSError as error:
            return describe_bind_error(host, port, error)
    return None


def resolve(host: str) -> list[str]:
    """The addresses of a host that a server would listen on. Raises OSError, UnicodeError."""
    return [str(address[0]) for _, address in _addresses(host, 0)]


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    """Family and socket address of each address of the host. Raises OSError, UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, address) for family, _, _, _, address in found]


def _bind(family: int, address: Any) -> None:
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(address)


def url_host(host: str) -> str:
    """Return the host as in a URL: an IPv6 address in brackets, a wildcard as loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"[{host}]" if ":" in host else host


def find_free_port(start: int | None = None, *, consecutive: int = 1) -> int:
    """Return the first of `consecutive` free ports at or after `start`. Raises OSError if there are none.

    Without `start` the search begins at a random port, so that two programs searching at the
    same time are unlikely to find the same ones.
    """
    start = random.randrange(FIRST_PORT, LAST_PORT - 1000) if start is None else start  # noqa: S311 - no secret
    port = start
    while port + consecutive <= LAST_PORT:
        busy = [offset for offset in range(consecutive) if not is_port_free(port + offset)]
        if not busy:
            return port
        port += busy[-1] + 1
    raise OSError(f"no {consecutive} free ports in a row between {start} and {LAST_PORT}")


async def accepts_connections(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server accepts connections on the port."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            await writer.wait_closed()
            return True
    return False


async def accepts_plaintext_grpc(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server on the port speaks gRPC (HTTP/2) without TLS, so without a client certificate."""
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(_HTTP2_PREFACE)
                frame = await reader.readexactly(9)
            finally:
                writer.close()
            return frame[3] == _HTTP2_SETTINGS
    return False


async def http_responds(url: str, *, below: int = 300) -> bool:
    """Whether a GET of the URL returns a status lower than `below`, within PROBE_TIMEOUT_S."""
    timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            return response.status < below
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
