"""Messages between the parent, the fork server and the workers: one packet of JSON, with file descriptors.

The parent trusts nothing in a message: a malicious image may have taken over the decoder that sent it.
"""

import os
import socket
from array import array
from collections.abc import Collection, Sequence
from typing import Any

import orjson

from tagify.errors import TagifyError

MAX_PACKET_BYTES = 4096
"""Maximum size of a packet, in bytes."""

MAX_FDS = 2
"""Maximum number of file descriptors in a packet; the kernel closes further ones."""


_FD_BYTES = array("i").itemsize


class ProtocolError(TagifyError):
    """The peer has closed the connection, or sent something that is not the expected JSON object."""


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that keep the boundaries of packets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(connection: socket.socket, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """Send a packet. Raises OSError if the peer has closed the connection."""
    socket.send_fds(connection, [orjson.dumps(message)], list(fds))


def receive(connection: socket.socket, *, fd_counts: Collection[int]) -> tuple[dict[str, Any], list[int]]:
    """The next packet; the caller has to close its file descriptors.

    Raises ProtocolError, also if the number of descriptors is not in `fd_counts`, and BlockingIOError if the
    socket does not block and no packet has arrived. A packet that is refused leaves no descriptor open.
    """
    try:
        # Not `socket.recv_fds`, which drops its flags (Python 3.11).
        data, control, flags, _ = connection.recvmsg(
            MAX_PACKET_BYTES, socket.CMSG_LEN(MAX_FDS * _FD_BYTES), socket.MSG_CMSG_CLOEXEC
        )
    except BlockingIOError:
        raise
    except OSError as error:
        raise ProtocolError(str(error)) from error
    fds = _fds(control)
    try:
        message = orjson.loads(data) if data else None
    except orjson.JSONDecodeError:
        message = None
    is_whole = not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
    if isinstance(message, dict) and is_whole and len(fds) in fd_counts:
        return message, fds
    close_fds(fds)
    raise ProtocolError("the process sent an invalid message" if data else "the process has ended")


def _fds(control: list[tuple[int, int, bytes]]) -> list[int]:
    fds = array("i")
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % _FD_BYTES])
    return fds.tolist()


def close_fds(fds: Sequence[int]) -> None:
    """Close file descriptors."""
    for fd in fds:
        os.close(fd)
