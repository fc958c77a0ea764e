"""Keeps programs running: starts them in order, starts again what dies, ends all together."""

import asyncio
import time
from collections.abc import Callable, Sequence

from tagify.concurrency.retry import Backoff
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import TagifyError
from tagify.servers.process import Process, ProcessError, Program

RESTART = Backoff(first_s=0.5, longest_s=30.0, jitter=0)
"""Delays before a restart. No jitter: there is one supervisor, and it prints the delay."""

HEALTHY_S = 60.0
"""A program that ran this long had a good start: its next death counts as the first."""

MOST_DEATHS = 5
"""Quick deaths in a row after which all is ended."""

Say = Callable[[str], None]


class GaveUp(TagifyError):
    """A program keeps dying; the message says which and why."""


class RestartBackoff:
    """How long to wait before a restart. Pure: told how long each run lasted."""

    def __init__(self) -> None:
        self.deaths = 0

    def after(self, ran_s: float) -> float | None:
        """The wait before the next start, in seconds; None when there were too many quick deaths."""
        self.deaths = 1 if ran_s >= HEALTHY_S else self.deaths + 1
        if self.deaths >= MOST_DEATHS:
            return None
        return RESTART.delay(self.deaths)


class Supervisor:
    """The children of `tagify up`."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._groups: list[list[Process]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: asyncio.Queue[TagifyError] = asyncio.Queue()

    async def start(self, programs: Sequence[Program]) -> None:
        """Start programs side by side, and keep them running from then on.

        Raises ProcessError when one does not get ready.
        """
        group: list[Process] = []
        self._groups.append(group)

        async def one(program: Program) -> None:
            group.append(await Process.start(program))

        outcomes = await asyncio.gather(*map(one, programs), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        for process in tuple(group):
            self._tasks.append(asyncio.create_task(self._keep(process, group)))

    async def failure(self) -> TagifyError:
        """The reason why all should end, once there is one."""
        return await self._failed.get()

    async def stop(self) -> None:
        """End all: the last started first, those started together together."""
        await cancel_and_wait(*self._tasks)
        for group in reversed(self._groups):
            await asyncio.gather(*(process.stop() for process in group))

    def kill(self) -> None:
        """End all at once, without grace."""
        for group in self._groups:
            for process in group:
                process.kill()

    async def _keep(self, process: Process, group: list[Process]) -> None:
        backoff = RestartBackoff()
        while True:
            started = time.monotonic()
            await process.wait()
            name, tail = process.program.name, process.tail()
            self._say(f"{name} {process.ending()}; its log ({process.program.log}) ends:\n{_indented(tail)}")
            wait = backoff.after(time.monotonic() - started)
            if wait is None:
                await self._failed.put(
                    GaveUp(f"{name} died {backoff.deaths} times in a row; its log ends:\n{tail}")
                )
                return
            process = await self._again(process, group, wait)
            if process.returncode is None:
                self._say(f"{name} runs again")

    async def _again(self, dead: Process, group: list[Process], wait: float) -> Process:
        self._say(f"starting {dead.program.name} again in {wait:g} s")
        await asyncio.sleep(wait)
        try:
            fresh = await Process.start(dead.program)
        except ProcessError as error:
            self._say(str(error))
            return dead
        group[group.index(dead)] = fresh
        return fresh


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()) or "    (it is empty)"
