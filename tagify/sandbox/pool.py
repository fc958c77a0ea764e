"""The sandbox: a bounded pool of decoding workers."""

import asyncio
import logging
import os
from dataclasses import dataclass

from tagify import waits
from tagify.concurrency.tasks import run_to_completion
from tagify.errors import Unavailable, Undecodable
from tagify.sandbox import ipc
from tagify.sandbox.jobs import DecodeJob
from tagify.sandbox.worker import DecodeWorker, ForkServer, Source, WorkerLimits

logger = logging.getLogger(__name__)

MAX_RESULT_BYTES = 256 << 20
"""Maximum number of bytes read from the result of a worker, unless the sandbox has a lower limit."""

ATTEMPTS = 2
"""Attempts at a job whose worker ends: the kernel kills any process when memory is short."""


class LimitExceeded(Undecodable):
    """A job exceeded its time or memory, or ended its worker. The cause may have been the host's load."""


@dataclass(frozen=True, slots=True)
class DecodeResult:
    """The result of a job, bytes or a number, and the time that it took in the worker."""

    data: bytes
    value: int
    seconds: float


class Sandbox:
    """Runs jobs in up to `size` workers; further jobs wait for one.

    Each job may take `memory_bytes` and `deadline_s` seconds, and return `result_bytes`. Workers are started
    on demand and reused.
    """

    def __init__(
        self, size: int, *, memory_bytes: int, deadline_s: int, result_bytes: int = MAX_RESULT_BYTES
    ) -> None:
        self._permits = asyncio.Semaphore(size)
        self._limits = WorkerLimits(memory_bytes, result_bytes)
        self._deadline_s = deadline_s
        self._idle: list[DecodeWorker] = []
        self._fork_server: ForkServer | None = None
        self._starting = asyncio.Lock()
        self.killed = 0
        """Workers killed so far: at the deadline, after a crash, or because the caller was cancelled."""

    @property
    def idle_pids(self) -> list[int]:
        """The pids of the idle workers."""
        return [worker.pid for worker in self._idle]

    async def open(self) -> None:
        """Start a worker, so that the first job does not wait for one. Raises Unavailable."""
        self._idle.append(await self._acquire_worker())

    async def run(self, job: DecodeJob, source: Source, *, attempts: int = ATTEMPTS) -> DecodeResult:
        """The result of a job on the bytes of `source`.

        Raises Undecodable; LimitExceeded, which is one, when the job exceeds its time or memory, or its
        worker ends in each attempt; OSError if the source cannot be read; and Unavailable if no worker can
        be started. A cancellation kills the worker.
        """
        async with self._permits:
            for _ in range(attempts - 1):
                try:
                    return await self._attempt(job, source)
                except ipc.ProtocolError:
                    continue
            try:
                return await self._attempt(job, source)
            except ipc.ProtocolError as error:
                raise LimitExceeded("decoding the file crashed the decoder") from error

    async def close(self) -> None:
        """End all processes. No job may run."""
        while self._idle:
            self._idle.pop().kill()
        if self._fork_server is not None:
            await self._fork_server.stop()
            self._fork_server = None

    async def _attempt(self, job: DecodeJob, source: Source) -> DecodeResult:
        worker, is_reusable = await self._acquire_worker(), False
        try:
            async with asyncio.timeout(self._deadline_s):
                with waits.Waiting("decoding"):
                    reply = await worker.run(job, source, self._deadline_s)
            is_reusable = True
        except TimeoutError as error:
            raise LimitExceeded(f"decoding the file takes more than {self._deadline_s} s") from error
        finally:
            if is_reusable:
                self._idle.append(worker)
            else:
                self.killed += 1
                worker.kill()
        if reply.errno:
            raise OSError(reply.errno, os.strerror(reply.errno))
        if reply.undecodable:
            raise (LimitExceeded if reply.out_of_memory else Undecodable)(reply.undecodable)
        return DecodeResult(reply.data, reply.value, reply.seconds)

    async def _acquire_worker(self) -> DecodeWorker:
        while True:
            while self._idle:
                worker = self._idle.pop()
                if not worker.has_ended:
                    return worker
                worker.kill()
            # A cancellation half-way would leave a worker that is in no list.
            await run_to_completion(self._start_worker())

    async def _start_worker(self) -> None:
        async with self._starting:
            for _ in range(2):
                try:
                    self._fork_server = self._fork_server or await ForkServer.start()
                    self._idle.append(await self._fork_server.start_worker(self._limits))
                except (ipc.ProtocolError, OSError, TimeoutError) as error:
                    logger.warning("cannot start a decoding process: %s", error)
                    if self._fork_server is not None:
                        await self._fork_server.stop()
                    self._fork_server = None
                else:
                    return
            raise Unavailable("cannot start a decoding process")
