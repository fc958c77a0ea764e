"""The packets between parent and workers: file descriptors pass, and an invalid packet is an error."""

import os
import socket

import pytest

from tagify.sandbox import SharedBuffer, ipc
from tagify.sandbox.shared_memory import is_memory_file
from tagify.sandbox.worker import check_reply


def test_a_message_arrives_with_its_buffer() -> None:
    first, second = ipc.socket_pair()
    with first, second, SharedBuffer() as source:
        source.append(b"some ")
        source.append(b"bytes")
        ipc.send(first, {"number": 1}, [source.fd])
        message, fds = ipc.receive(second, fd_counts=(0, 1))
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
            ipc.receive(second, fd_counts=(0, 1))


def test_a_closed_connection_is_a_protocol_error() -> None:
    first, second = ipc.socket_pair()
    first.close()
    with second, pytest.raises(ipc.ProtocolError, match="has ended"):
        ipc.receive(second, fd_counts=(0, 1))


def test_a_socket_that_does_not_block_says_that_nothing_has_arrived() -> None:
    first, second = ipc.socket_pair()
    second.setblocking(False)
    with first, second, pytest.raises(BlockingIOError):
        ipc.receive(second, fd_counts=(0, 1))


def test_closing_a_buffer_twice_closes_its_file_descriptor_once() -> None:
    buffer = SharedBuffer()
    buffer.close()
    reused = os.open("/dev/null", os.O_RDONLY)
    buffer.close()
    assert os.fstat(reused)
    os.close(reused)


def test_fifty_refused_packets_leave_no_descriptor_open() -> None:
    first, second = ipc.socket_pair()
    with first, second, SharedBuffer() as source:
        before = len(os.listdir("/proc/self/fd"))
        for number in range(50):
            data, count = ((b"no json", 2), (b"{}", 2), (b"[]", 1), (b"x" * 5000, 2), (b"{}", 5))[number % 5]
            socket.send_fds(first, [data], [source.fd] * count)
            with pytest.raises(ipc.ProtocolError, match="invalid message"):
                ipc.receive(second, fd_counts=(0, 1))
        assert len(os.listdir("/proc/self/fd")) == before


def test_received_descriptors_are_closed_when_a_program_is_executed() -> None:
    first, second = ipc.socket_pair()
    with first, second, SharedBuffer() as source:
        ipc.send(first, {}, [source.fd])
        _, (fd,) = ipc.receive(second, fd_counts=(1,))
        assert not os.get_inheritable(fd)
        os.close(fd)


VALID = {"seconds": 0.5}


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": "1"},
        {"seconds": -1.0},
        {"seconds": None},
        {"seconds": float("inf")},
        {"value": -1},
        {"value": 1 << 60},
        {"value": True},
        {"value": "1"},
        {"undecodable": 1},
        {"undecodable": None},
        {"out_of_memory": 1},
        {"errno": -1},
        {"errno": 5.0},
        {"errno": 4000},
    ],
)
def test_a_reply_with_a_wrong_field_is_a_protocol_error(change: dict[str, object]) -> None:
    assert check_reply(VALID, b"").seconds == 0.5
    with pytest.raises(ipc.ProtocolError, match="invalid reply"):
        check_reply(VALID | change, b"")


def test_the_reason_in_a_reply_is_short_and_printable() -> None:
    reply = check_reply(VALID | {"undecodable": "a\x1b[31m\n" + "x" * 1000}, b"")
    assert reply.undecodable.startswith("a [31m x")
    assert len(reply.undecodable) == 500


def test_only_a_file_in_memory_is_read_as_a_result() -> None:
    pipe = os.pipe()
    file = os.open("/proc/self/status", os.O_RDONLY)
    with SharedBuffer() as buffer:
        assert is_memory_file(buffer.fd)
        assert not any(is_memory_file(fd) for fd in (*pipe, file))
    for fd in (*pipe, file):
        os.close(fd)
