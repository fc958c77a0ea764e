"""A bounded number of decoding processes, and what becomes of those that fail."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from tagify.concurrency.tasks import run_to_completion
from tagify.errors import Unavailable, Undecodable
from tagify.sandbox import ipc
from tagify.sandbox.jobs import DecodeJob
from tagify.sandbox.shared_memory import SharedBuffer
from tagify.sandbox.worker import DecodeWorker, ForkServer

logger = logging.getLogger(__name__)

MAX_RESULT_BYTES = 256 << 20
"""Bytes that a worker may hand back, at most."""


@dataclass(frozen=True, slots=True)
class DecodeResult:
    """What a job came to: bytes or a number, and how long it took in the worker."""

    data: bytes
    value: int
    seconds: float


class Sandbox:
    """Runs jobs in up to `size` processes; further ones wait their turn.

    `memory_bytes` is what one job may take, `deadline_s` how long. The processes are started when
    they are first needed.
    """

    def __init__(self, size: int, *, memory_bytes: int, deadline_s: int) -> None:
        self._permits = asyncio.Semaphore(size)
        self._memory = memory_bytes
        self._deadline_s = deadline_s
        self._idle: list[DecodeWorker] = []
        self._fork_server: ForkServer | None = None
        self._starting = asyncio.Lock()
        self.killed = 0
        """Workers that were killed: for taking too long, or since nobody waited any more."""

    @property
    def idle_pids(self) -> list[int]:
        """The processes that wait for work."""
        return [worker.pid for worker in self._idle]

    async def open(self) -> None:
        """Start a first process, so that the first job need not wait for it. Raises Unavailable."""
        self._idle.append(await self._acquire_worker())

    async def run(self, job: DecodeJob, source: SharedBuffer) -> DecodeResult:
        """Do a job on the source's bytes.

        Raises Undecodable also where it takes too long, too much memory, or ends its process;
        Unavailable where no process can be started. Where the caller is cancelled the work ends.
        """
        async with self._permits:
            try:
                return await self._attempt(job, source)
            except ipc.ProtocolError:
                # The fault may be another's: the kernel, short of memory, ends whom it likes.
                self._kill_idle()
            try:
                return await self._attempt(job, source)
            except ipc.ProtocolError as error:
                raise Undecodable("decoding it crashed the decoder") from error

    async def close(self) -> None:
        """End all processes. No job may run any more."""
        self._kill_idle()
        if self._fork_server is not None:
            await self._fork_server.stop()
            self._fork_server = None

    async def _attempt(self, job: DecodeJob, source: SharedBuffer) -> DecodeResult:
        worker, healthy = await self._acquire_worker(), False
        try:
            async with asyncio.timeout(self._deadline_s):
                reply, made = await worker.run(job, source, self._deadline_s)
            healthy = True
            return _result(reply, made)
        except TimeoutError as error:
            raise Undecodable(f"decoding it takes more than {self._deadline_s} s") from error
        finally:
            if healthy:
                self._idle.append(worker)
            else:
                self.killed += 1
                worker.kill()

    async def _acquire_worker(self) -> DecodeWorker:
        while not self._idle:
            # Cut off half way it would leave a worker that nobody knows of.
            await run_to_completion(self._start_worker())
        return self._idle.pop()

    async def _start_worker(self) -> None:
        async with self._starting:
            for _ in range(2):
                try:
                    self._fork_server = self._fork_server or await ForkServer.start()
                    self._idle.append(await self._fork_server.start_worker(self._memory))
                except (ipc.ProtocolError, OSError, TimeoutError) as error:
                    logger.warning("no decoding process could be started: %s", error)
                    if self._fork_server is not None:
                        await self._fork_server.stop()
                    self._fork_server = None
                else:
                    return
            raise Unavailable("no decoding process can be started")

    def _kill_idle(self) -> None:
        while self._idle:
            self._idle.pop().kill()


def _result(reply: dict[str, Any], made: SharedBuffer | None) -> DecodeResult:
    data = b""
    if made is not None:
        with made:
            data = made.read(MAX_RESULT_BYTES)
    if "undecodable" in reply:
        raise Undecodable(str(reply["undecodable"]))
    return DecodeResult(data, int(reply.get("number", 0)), float(reply.get("seconds", 0.0)))
