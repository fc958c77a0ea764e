"""Messages between the parent, the fork server and the workers: one packet of JSON, with file descriptors.

The parent trusts nothing in a message: a malicious image may have taken over the decoder that sent it.
"""

import socket
from collections.abc import Sequence
from typing import Any

import orjson

from tagify.errors import TagifyError

MAX_PACKET_BYTES = 4096
"""Maximum size of a packet, in bytes."""

MAX_FDS = 2
"""Maximum number of file descriptors in a packet."""


class ProtocolError(TagifyError):
    """The peer has closed the connection, or sent something that is not a JSON object."""


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that keep the boundaries of packets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(connection: socket.socket, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """Send a packet. Raises OSError if the peer has closed the connection."""
    socket.send_fds(connection, [orjson.dumps(message)], list(fds))


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next packet; the caller has to close its file descriptors.

    Raises ProtocolError, and BlockingIOError if the socket does not block and no packet has arrived.
    """
    try:
        data, fds, _, _ = socket.recv_fds(connection, MAX_PACKET_BYTES, MAX_FDS)
    except BlockingIOError:
        raise
    except OSError as error:
        raise ProtocolError(str(error)) from error
    try:
        message = orjson.loads(data) if data else None
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        raise ProtocolError("the process sent an invalid message" if data else "the process has ended")
    return message, fds
