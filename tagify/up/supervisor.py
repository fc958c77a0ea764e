"""Process supervisor: start in order, restart with exponential backoff, stop in reverse order."""

import asyncio
import time
from collections.abc import Callable, Sequence

from tagify.concurrency.retry import Backoff
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import TagifyError
from tagify.servers.process import Process, ProcessError, Program

RESTART = Backoff(first_s=0.5, longest_s=30.0, jitter=0)
"""Delays before a restart. No jitter: there is one supervisor, and it prints the delay."""

HEALTHY_RUN_S = 60.0
"""A run this long resets the count of crashes."""

MAX_CRASHES = 5
"""Consecutive crashes after which the stack is stopped."""

LinePrinter = Callable[[str], None]


class RestartLimitExceeded(TagifyError):
    """A program keeps crashing; the message names it and quotes its log."""


class RestartBackoff:
    """Exponential backoff between restarts. Pure: the caller measures how long each run lasted."""

    def __init__(self) -> None:
        self.crashes = 0

    def next_delay(self, ran_s: float) -> float | None:
        """Seconds to wait after a run of `ran_s` seconds; None at the MAX_CRASHES-th consecutive crash."""
        self.crashes = 1 if ran_s >= HEALTHY_RUN_S else self.crashes + 1
        if self.crashes >= MAX_CRASHES:
            return None
        return RESTART.delay(self.crashes)


class ProcessSupervisor:
    """Runs and restarts the child processes of `tagify up`."""

    def __init__(self, print_line: LinePrinter) -> None:
        self._print_line = print_line
        self._groups: list[list[Process]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._failures: asyncio.Queue[TagifyError] = asyncio.Queue()

    async def start(self, programs: Sequence[Program]) -> None:
        """Start programs concurrently, then restart each when it exits.

        Raises ProcessError if one does not become ready.
        """
        group: list[Process] = []
        self._groups.append(group)

        async def start_program(program: Program) -> None:
            group.append(await Process.start(program))

        outcomes = await asyncio.gather(*map(start_program, programs), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        for process in tuple(group):
            self._tasks.append(asyncio.create_task(self._restart_on_exit(process, group)))

    async def wait_for_failure(self) -> TagifyError:
        """Wait until a program exceeds MAX_CRASHES; returns the error."""
        return await self._failures.get()

    async def stop(self) -> None:
        """Stop all groups in reverse order of their start; the programs of a group concurrently."""
        await cancel_and_wait(*self._tasks)
        for group in reversed(self._groups):
            await asyncio.gather(*(process.stop() for process in group))

    def kill(self) -> None:
        """Send SIGKILL to all of them."""
        for group in self._groups:
            for process in group:
                process.kill()

    async def _restart_on_exit(self, process: Process, group: list[Process]) -> None:
        backoff = RestartBackoff()
        while True:
            started = time.monotonic()
            await process.wait()
            name, tail = process.program.name, process.log_tail()
            outcome = process.exit_description()
            self._print_line(f"{name} {outcome}; its log ({process.program.log}) ends:\n{_indented(tail)}")
            delay_s = backoff.next_delay(time.monotonic() - started)
            if delay_s is None:
                await self._failures.put(
                    RestartLimitExceeded(
                        f"{name} crashed {backoff.crashes} times in a row; its log ends:\n{tail}"
                    )
                )
                return
            process = await self._restart(process, group, delay_s)
            if process.returncode is None:
                self._print_line(f"{name} restarted")

    async def _restart(self, exited: Process, group: list[Process], delay_s: float) -> Process:
        self._print_line(f"restarting {exited.program.name} in {delay_s:g} s")
        await asyncio.sleep(delay_s)
        try:
            restarted = await Process.start(exited.program)
        except ProcessError as error:
            self._print_line(str(error))
            return exited
        group[group.index(exited)] = restarted
        return restarted


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()) or "    (empty)"
