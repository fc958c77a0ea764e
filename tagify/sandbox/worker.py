"""The parent's side of the nursery and of one worker."""

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
"""Longest wait for a process to start, on a machine with much else to do."""

_ENVIRONMENT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ", "HOME")
"""What a decoder is told of the outside: no credentials, whatever the service was given."""


async def receive_async(end: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next packet on a wire that does not block. Raises BrokenWire."""
    loop = asyncio.get_running_loop()
    while True:
        with suppress(BlockingIOError):
            return ipc.receive(end)
        readable = asyncio.Event()
        loop.add_reader(end.fileno(), readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(end.fileno())


class DecodeWorker:
    """One process that does one job at a time."""

    def __init__(self, pid: int, handle: int, end: socket.socket) -> None:
        self.pid = pid
        self._handle = handle
        self._end = end

    async def run(
        self, job: DecodeJob, source: SharedBuffer, deadline_s: int
    ) -> tuple[dict[str, Any], SharedBuffer | None]:
        """Its reply and the bytes it made. Raises BrokenWire when it has died."""
        try:
            ipc.send(self._end, asdict(job) | {"deadline_s": deadline_s}, [source.fd])
        except OSError as error:
            raise ipc.ProtocolError(str(error)) from error
        reply, files = await receive_async(self._end)
        return reply, SharedBuffer(files[0]) if files else None

    def kill(self) -> None:
        """End it, whatever it does."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        self._end.close()
        os.close(self._handle)


class ForkServer:
    """The process that workers are forked from."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._process = process
        self._control = control

    @classmethod
    async def start(cls) -> Self:
        """Run it. Raises OSError."""
        ours, theirs = ipc.socket_pair()
        ours.setblocking(False)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # One arena: what a big picture took is given back when it is done.
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
        """A new worker that may take so much memory. Raises BrokenWire, OSError, TimeoutError."""
        ours, theirs = ipc.socket_pair()
        ours.setblocking(False)
        try:
            with theirs:
                ipc.send(self._control, {"memory_bytes": memory_bytes}, [theirs.fileno()])
            async with asyncio.timeout(START_TIMEOUT_S):
                reply, files = await receive_async(self._control)
        except BaseException:
            ours.close()
            raise
        return DecodeWorker(int(reply["pid"]), files[0], ours)

    async def stop(self) -> None:
        """End it; its workers end with it."""
        self._control.close()
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
