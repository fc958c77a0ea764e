"""Listening sockets: inherited from systemd, a Unix socket, or a TCP port."""

import contextlib
import os
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from tagify.bind_errors import describe_bind_error
from tagify.errors import TagifyError

BACKLOG = 4096
"""Listen backlog: connections that may wait to be accepted, for example during a restart. Capped by the
kernel's net.core.somaxconn."""

SOCKET_MODE = 0o660
"""File mode of a Unix socket: owner and group; NGINX is in the group."""

FIRST_FD = 3
"""The first file descriptor that systemd passes (sd_listen_fds(3))."""


class AddressTaken(TagifyError):
    """The address is in use by another process, or cannot be bound."""


@dataclass(frozen=True, slots=True)
class Address:
    """Hosts and their port, or a Unix socket if `path` is set."""

    hosts: Sequence[str]
    port: int
    path: str = ""


async def listen(runner: web.AppRunner, address: Address) -> Sequence[str]:
    """Start to accept connections; returns the URLs of the listening sockets.

    Sockets passed by systemd take precedence over the address. Raises AddressTaken.
    """
    sockets = inherited_sockets()
    if not sockets and address.path:
        sockets = [bind_unix_socket(address.path)]
    for listener in sockets:
        await web.SockSite(runner, listener, backlog=BACKLOG).start()
    if sockets:
        return [_socket_url(listener) for listener in sockets]
    return [await _listen_on(runner, host, address.port) for host in address.hosts]


async def _listen_on(runner: web.AppRunner, host: str, port: int) -> str:
    try:
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
    except OSError as error:
        raise AddressTaken(
            f"{describe_bind_error(host, port, error)}; choose another address or port"
        ) from error
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def inherited_sockets() -> list[socket.socket]:
    """The sockets that systemd passed to this process; empty on the second call."""
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    sockets = [socket.socket(fileno=number) for number in range(FIRST_FD, FIRST_FD + int(count))]
    for listener in sockets:
        listener.set_inheritable(False)
    return sockets


def bind_unix_socket(path: str) -> socket.socket:
    """Bind a Unix socket, replacing a stale one. Raises AddressTaken."""
    if _is_live(path):
        raise AddressTaken(f"{path} is in use by another process; choose another path or stop that process")
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Before `bind`, so that other users can never connect.
    os.fchmod(listener.fileno(), stat.S_IRUSR | stat.S_IWUSR)
    try:
        listener.bind(path)
        Path(path).chmod(SOCKET_MODE)
    except OSError as error:
        listener.close()
        raise AddressTaken(f"cannot listen on {path}: {error.strerror}") from error
    return listener


def _is_live(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _socket_url(listener: socket.socket) -> str:
    address = listener.getsockname()
    return f"unix:{address}" if listener.family == socket.AF_UNIX else f"http://{address[0]}:{address[1]}"
