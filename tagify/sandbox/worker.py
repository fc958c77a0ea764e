"""The parent's handles of the fork server and of its workers."""

import asyncio
import math
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol, Self

from tagify.sandbox import ipc
from tagify.sandbox.jobs import DecodeJob
from tagify.sandbox.shared_memory import SharedBuffer, is_memory_file

START_TIMEOUT_S = 30.0
"""Timeout for the start of a worker, in seconds: enough on a machine under full load."""

_ENVIRONMENT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ", "HOME")
"""Environment variables that are passed to decoders: none that holds a credential."""


_MAX_ERROR_LENGTH = 500
"""Maximum length of an error text that is kept, in characters."""

_MAX_VALUE = 1 << 48
"""Maximum of a number in a reply: an estimate in bytes."""


_MAX_ERRNO = 133
"""The largest errno of Linux."""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """Limits of a worker, in bytes: its memory beyond that of the fork server, and each result."""

    memory_bytes: int
    result_bytes: int


@dataclass(frozen=True, slots=True)
class JobReply:
    """The reply to a job, checked.

    `undecodable` is the reason why there is no result; `errno` is not 0 if the source cannot be read.
    """

    seconds: float
    data: bytes = b""
    value: int = 0
    undecodable: str = ""
    out_of_memory: bool = False
    errno: int = 0


class Source(Protocol):
    """The bytes of a file: a SharedBuffer, or a file open for reading, whose offset the worker moves."""

    def fileno(self) -> int:
        """The file descriptor, which is passed to the worker."""
        ...


async def receive_async(
    connection: socket.socket, *, fd_counts: Collection[int]
) -> tuple[dict[str, Any], list[int]]:
    """The next packet of a socket that does not block. Raises ProtocolError."""
    loop = asyncio.get_running_loop()
    while True:
        with suppress(BlockingIOError):
            return ipc.receive(connection, fd_counts=fd_counts)
        readable = asyncio.Event()
        loop.add_reader(connection.fileno(), readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(connection.fileno())


class DecodeWorker:
    """A process that runs one job at a time."""

    def __init__(self, pid: int, pidfd: int, connection: socket.socket, *, result_bytes: int) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._connection = connection
        self._result_bytes = result_bytes

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended: its pidfd is readable then."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(0))

    async def run(self, job: DecodeJob, source: Source, deadline_s: int) -> JobReply:
        """The reply to a job. Raises ProtocolError if the worker has died or sent an invalid reply."""
        fd = source.open_reader() if isinstance(source, SharedBuffer) else source.fileno()
        try:
            ipc.send(self._connection, asdict(job) | {"deadline_s": deadline_s}, [fd])
        except OSError as error:
            raise ipc.ProtocolError(str(error)) from error
        finally:
            if isinstance(source, SharedBuffer):
                os.close(fd)
        message, fds = await receive_async(self._connection, fd_counts=(0, 1))
        if not fds:
            return check_reply(message, b"")
        with SharedBuffer(fds[0]) as output:
            return check_reply(message, _read(output, self._result_bytes))

    def kill(self) -> None:
        """Kill the process and close its connection."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self._connection.close()
        os.close(self._pidfd)


class ForkServer:
    """The process from which workers are forked."""

    MODULE: ClassVar = "tagify.sandbox.forkserver"

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self._control = control

    @classmethod
    async def start(cls) -> Self:
        """Start the process. Raises OSError."""
        ours, theirs = ipc.socket_pair()
        ours.setblocking(False)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # With one arena the memory of a large image is returned to the kernel after its job.
        environment |= {"MALLOC_ARENA_MAX": "1"}
        with theirs:
            # Not by the event loop: uvloop's fork runs the driver's handlers, which write a traceback. Not in
            # another thread: the kernel ends the process with the thread that started it.
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - takes milliseconds; our own module
                [sys.executable, "-P", "-m", cls.MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
            )
        return cls(process, ours)

    async def start_worker(self, limits: WorkerLimits) -> DecodeWorker:
        """A new worker with these limits. Raises ProtocolError, OSError, TimeoutError."""
        ours, theirs = ipc.socket_pair()
        ours.setblocking(False)
        try:
            with theirs:
                ipc.send(self._control, asdict(limits), [theirs.fileno()])
            async with asyncio.timeout(START_TIMEOUT_S):
                reply, fds = await receive_async(self._control, fd_counts=(1,))
        except BaseException:
            ours.close()
            raise
        return DecodeWorker(int(reply["pid"]), fds[0], ours, result_bytes=limits.result_bytes)

    async def stop(self) -> None:
        """Kill the process; the kernel kills its workers with it."""
        self._control.close()
        with suppress(ProcessLookupError):
            self._process.kill()
        await asyncio.to_thread(self._process.wait)


def check_reply(message: dict[str, Any], data: bytes) -> JobReply:
    """The reply in a message. Raises ProtocolError unless each field has its type and range."""
    seconds, value = message.get("seconds"), message.get("value", 0)
    number = message.get("errno", 0)
    undecodable, out_of_memory = message.get("undecodable", ""), message.get("out_of_memory", False)
    if (
        type(seconds) is not float
        or not (math.isfinite(seconds) and seconds >= 0)
        or type(value) is not int
        or not 0 <= value <= _MAX_VALUE
        or type(undecodable) is not str
        or type(out_of_memory) is not bool
        or type(number) is not int
        or not 0 <= number <= _MAX_ERRNO
    ):
        raise ipc.ProtocolError("the process sent an invalid reply")
    text = "".join(char if char.isprintable() else " " for char in undecodable[:_MAX_ERROR_LENGTH])
    return JobReply(seconds, data, value, text, out_of_memory, number)


def _read(output: SharedBuffer, limit: int) -> bytes:
    """The content of an output. Raises ProtocolError for another kind of file: its read could block."""
    if not is_memory_file(output.fd) or output.size > limit:
        raise ipc.ProtocolError("the process sent an invalid result")
    return output.read(limit)
