"""Where a service listens: on sockets that systemd holds, on a Unix socket, or on a host's port."""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from tagify.errors import TagifyError

BACKLOG = 4096
"""Connections that may wait to be taken. Those of a whole restart wait here; the kernel's
net.core.somaxconn caps it."""

MODE = 0o660
"""Of a Unix socket: its owner and its group, which NGINX belongs to."""

FIRST_FD = 3
"""systemd passes sockets from this descriptor on (sd_listen_fds(3))."""


class AddressTaken(TagifyError):
    """Something else listens where the service should."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port, or a Unix socket where a path is given."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"http://{self.host}:{self.port}"


async def listen(runner: web.AppRunner, address: Address) -> Sequence[str]:
    """Take connections from now on; the names of what is listened on.

    Sockets that systemd passed go before the address. Raises AddressTaken.
    """
    sockets = inherited()
    if not sockets and address.path:
        sockets = [unix_socket(address.path)]
    for passed in sockets:
        await web.SockSite(runner, passed, backlog=BACKLOG).start()
    if sockets:
        return [_name(passed) for passed in sockets]
    try:
        await web.TCPSite(runner, address.host, address.port, backlog=BACKLOG).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise AddressTaken(
            f"port {address.port} of {address.host} is taken by another process; choose another or stop it"
        ) from error
    return [str(address)]


def inherited() -> list[socket.socket]:
    """The sockets that systemd opened for this very process; none the second time."""
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    sockets = [socket.socket(fileno=number) for number in range(FIRST_FD, FIRST_FD + int(count))]
    for passed in sockets:
        passed.set_inheritable(False)
    return sockets


def unix_socket(path: str) -> socket.socket:
    """A Unix socket of our own, in place of one that was left behind. Raises AddressTaken."""
    if _is_live(path):
        raise AddressTaken(f"{path} is taken by another process; choose another or stop it")
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Before it has a name, so that there is no moment at which others may connect.
    os.fchmod(made.fileno(), stat.S_IRUSR | stat.S_IWUSR)
    try:
        made.bind(path)
        Path(path).chmod(MODE)
    except OSError as error:
        made.close()
        raise AddressTaken(f"cannot listen on {path}: {error.strerror}") from error
    return made


def _is_live(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _name(passed: socket.socket) -> str:
    name = passed.getsockname()
    return f"unix:{name}" if passed.family == socket.AF_UNIX else f"http://{name[0]}:{name[1]}"
