"""The packets between parent and workers: file descriptors pass, and an invalid packet is an error."""

import os

import pytest

from tagify.sandbox import SharedBuffer, ipc


def test_a_message_arrives_with_its_buffer() -> None:
    first, second = ipc.socket_pair()
    with first, second, SharedBuffer() as source:
        source.append(b"some ")
        source.append(b"bytes")
        ipc.send(first, {"number": 1}, [source.fd])
        message, fds = ipc.receive(second)
        assert message == {"number": 1}
        with SharedBuffer(fds[0]) as received:
            assert received.size == 10
            assert received.read(100) == b"some bytes"
            assert received.read(4) == b"some"


@pytest.mark.parametrize("data", [b"[]", b"1", b"no json", b"\xff"])
def test_a_packet_that_is_no_object_is_a_protocol_error(data: bytes) -> None:
    first, second = ipc.socket_pair()
    with first, second:
        first.send(data)
        with pytest.raises(ipc.ProtocolError, match="invalid message"):
            ipc.receive(second)


def test_a_closed_connection_is_a_protocol_error() -> None:
    first, second = ipc.socket_pair()
    first.close()
    with second, pytest.raises(ipc.ProtocolError, match="has ended"):
        ipc.receive(second)


def test_a_socket_that_does_not_block_says_that_nothing_has_arrived() -> None:
    first, second = ipc.socket_pair()
    second.setblocking(False)
    with first, second, pytest.raises(BlockingIOError):
        ipc.receive(second)


def test_closing_a_buffer_twice_closes_its_file_descriptor_once() -> None:
    buffer = SharedBuffer()
    buffer.close()
    reused = os.open("/dev/null", os.O_RDONLY)
    buffer.close()
    assert os.fstat(reused)
    os.close(reused)
