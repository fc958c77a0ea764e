"""A bounded number of decoding processes, and what becomes of those that fail."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from tagify.concurrency.tasks import run_to_completion
from tagify.errors import Unavailable, Undecodable
from tagify.sandbox import ipc
from tagify.sandbox.jobs import Job
from tagify.sandbox.shared_memory import SharedBuffer
from tagify.sandbox.worker import ForkServer, Worker

logger = logging.getLogger(__name__)

LARGEST_RESULT = 256 << 20
"""Bytes that a worker may hand back, at most."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a job came to: bytes or a number, and how long it took in the worker."""

    data: bytes
    number: int
    seconds: float


class Sandbox:
    """Runs jobs in up to `size` processes; further ones wait their turn.

    `memory_bytes` is what one job may take, `deadline_s` how long. The processes are started when
    they are first needed.
    """

    def __init__(self, size: int, *, memory_bytes: int, deadline_s: int) -> None:
        self._slots = asyncio.Semaphore(size)
        self._memory = memory_bytes
        self._deadline_s = deadline_s
        self._idle: list[Worker] = []
        self._nursery: ForkServer | None = None
        self._growing = asyncio.Lock()
        self.killed = 0
        """Workers that were killed: for taking too long, or since nobody waited any more."""

    @property
    def pids(self) -> list[int]:
        """The processes that wait for work."""
        return [worker.pid for worker in self._idle]

    async def open(self) -> None:
        """Start a first process, so that the first job need not wait for it. Raises Unavailable."""
        self._idle.append(await self._take())

    async def run(self, job: Job, source: SharedBuffer) -> Result:
        """Do a job on the source's bytes.

        Raises Undecodable also where it takes too long, too much memory, or ends its process;
        Unavailable where no process can be started. Where the caller is cancelled the work ends.
        """
        async with self._slots:
            try:
                return await self._attempt(job, source)
            except ipc.BrokenWire:
                # The fault may be another's: the kernel, short of memory, ends whom it likes.
                self._drop_idle()
            try:
                return await self._attempt(job, source)
            except ipc.BrokenWire as error:
                raise Undecodable("decoding it crashed the decoder") from error

    async def close(self) -> None:
        """End all processes. No job may run any more."""
        self._drop_idle()
        if self._nursery is not None:
            await self._nursery.end()
            self._nursery = None

    async def _attempt(self, job: Job, source: SharedBuffer) -> Result:
        worker, healthy = await self._take(), False
        try:
            async with asyncio.timeout(self._deadline_s):
                reply, made = await worker.ask(job, source, self._deadline_s)
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

    async def _take(self) -> Worker:
        while not self._idle:
            # Cut off half way it would leave a worker that nobody knows of.
            await run_to_completion(self._grow())
        return self._idle.pop()

    async def _grow(self) -> None:
        async with self._growing:
            for _ in range(2):
                try:
                    self._nursery = self._nursery or await ForkServer.start()
                    self._idle.append(await self._nursery.worker(self._memory))
                except (ipc.BrokenWire, OSError, TimeoutError) as error:
                    logger.warning("no decoding process could be started: %s", error)
                    if self._nursery is not None:
                        await self._nursery.end()
                    self._nursery = None
                else:
                    return
            raise Unavailable("no decoding process can be started")

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().kill()


def _result(reply: dict[str, Any], made: SharedBuffer | None) -> Result:
    data = b""
    if made is not None:
        with made:
            data = made.read(LARGEST_RESULT)
    if "undecodable" in reply:
        raise Undecodable(str(reply["undecodable"]))
    return Result(data, int(reply.get("number", 0)), float(reply.get("seconds", 0.0)))
