"""The parent's handles of the fork server and of its workers."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Self

from tagify.sandbox import ipc
from tagify.sandbox.jobs import DecodeJob
from tagify.sandbox.shared_memory import SharedBuffer

START_TIMEOUT_S = 30.0
"""Timeout for the start of a worker, in seconds: enough on a machine under full load."""

_ENVIRONMENT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ", "HOME")
"""Environment variables that are passed to decoders: none that holds a credential."""


async def receive_async(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next packet of a socket that does not block. Raises ProtocolError."""
    loop = asyncio.get_running_loop()
    while True:
        with suppress(BlockingIOError):
            return ipc.receive(connection)
        readable = asyncio.Event()
        loop.add_reader(connection.fileno(), readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(connection.fileno())


class DecodeWorker:
    """A process that runs one job at a time."""

    def __init__(self, pid: int, pidfd: int, connection: socket.socket) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._connection = connection

    async def run(
        self, job: DecodeJob, source: SharedBuffer, deadline_s: int
    ) -> tuple[dict[str, Any], SharedBuffer | None]:
        """The reply to a job, and the output if it is bytes. Raises ProtocolError if the worker has died."""
        try:
            ipc.send(self._connection, asdict(job) | {"deadline_s": deadline_s}, [source.fd])
        except OSError as error:
            raise ipc.ProtocolError(str(error)) from error
        reply, fds = await receive_async(self._connection)
        return reply, SharedBuffer(fds[0]) if fds else None

    def kill(self) -> None:
        """Kill the process and close its connection."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self._connection.close()
        os.close(self._pidfd)


class ForkServer:
    """The process from which workers are forked."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
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
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "tagify.sandbox.forkserver",
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
            )
        return cls(process, ours)

    async def start_worker(self, memory_bytes: int) -> DecodeWorker:
        """A new worker with this memory limit. Raises ProtocolError, OSError, TimeoutError."""
        ours, theirs = ipc.socket_pair()
        ours.setblocking(False)
        try:
            with theirs:
                ipc.send(self._control, {"memory_bytes": memory_bytes}, [theirs.fileno()])
            async with asyncio.timeout(START_TIMEOUT_S):
                reply, fds = await receive_async(self._control)
        except BaseException:
            ours.close()
            raise
        return DecodeWorker(int(reply["pid"]), fds[0], ours)

    async def stop(self) -> None:
        """Kill the process; the kernel kills its workers with it."""
        self._control.close()
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
