"""What parent and decoding processes say to each other: one packet of JSON, and files with it.

The parent believes nothing of it but its form: a decoder may have been taken over by its picture.
"""

import socket
from collections.abc import Sequence
from typing import Any

import orjson

from tagify.errors import TagifyError

MAX_PACKET_BYTES = 4096
"""Longest packet, in bytes."""

MAX_FDS = 2
"""Most files that come with one packet."""


class ProtocolError(TagifyError):
    """The other end has gone, or says what nobody should."""


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a wire."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(wire: socket.socket, message: dict[str, Any], files: Sequence[int] = ()) -> None:
    """Send a packet. Raises OSError where the other end has gone."""
    socket.send_fds(wire, [orjson.dumps(message)], list(files))


def receive(wire: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next packet. The files are the receiver's to close. Raises BrokenWire; BlockingIOError."""
    try:
        data, files, _, _ = socket.recv_fds(wire, MAX_PACKET_BYTES, MAX_FDS)
    except BlockingIOError:
        raise
    except OSError as error:
        raise ProtocolError(str(error)) from error
    try:
        message = orjson.loads(data) if data else None
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        raise ProtocolError("the process has ended" if not data else "the process talks nonsense")
    return message, files
