"""Process supervisor: start in order, restart with exponential backoff, stop in reverse order."""

import asyncio
import time
from collections.abc import Callable, Sequence

from tagify.concurrency.retry import Backoff
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import TagifyError
from tagify.servers.process import Process, ProcessError, Program
from tagify.up.disk_watch import DiskWatch

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
    """Runs and restarts the child processes of `tagify up`, from their first start on."""

    def __init__(self, print_line: LinePrinter, disk: DiskWatch) -> None:
        self._print_line = print_line
        self._disk = disk
        self._groups: list[list[Process]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._failures: asyncio.Queue[TagifyError] = asyncio.Queue()

    async def start(self, programs: Sequence[Program]) -> None:
        """Start programs concurrently, and restart each when it exits.

        Raises ProcessError if one exits with an error before it is ready, is not ready in time, or crashes
        MAX_CRASHES times.
        """
        group: list[Process] = []
        self._groups.append(group)

        async def start_program(program: Program) -> None:
            process = await self._start_program(program)
            group.append(process)
            self._tasks.append(asyncio.create_task(self._restart_on_exit(process, group)))

        outcomes = await asyncio.gather(*map(start_program, programs), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

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

    async def _start_program(self, program: Program) -> Process:
        """Start a program; once more if it is killed before it is ready. Raises ProcessError."""
        backoff = RestartBackoff()
        while True:
            try:
                return await Process.start(program)
            except ProcessError as error:
                delay_s = backoff.next_delay(0)
                if not error.was_killed or delay_s is None:
                    raise
                self._print_line(str(error))
                await self._wait_to_restart(program, delay_s)

    async def _restart_on_exit(self, process: Process, group: list[Process]) -> None:
        backoff = RestartBackoff()
        while True:
            started = time.monotonic()
            await process.wait()
            if self._disk.is_full():
                await self._wait_for_space(process)
                backoff = RestartBackoff()
            else:
                self._print_exit(process)
            delay_s = backoff.next_delay(time.monotonic() - started)
            if delay_s is None:
                await self._failures.put(_limit_exceeded(process, backoff.crashes))
                return
            process = await self._restart(process, group, delay_s)
            if process.returncode is None:
                self._print_line(f"{process.program.name} restarted")

    async def _wait_for_space(self, process: Process) -> None:
        # One line: the log of a server without space is long, and its last lines do not name the cause.
        name, outcome = process.program.name, process.exit_description()
        self._print_line(f"{name} {outcome}: the disk is full; it is restarted when there is space")
        await self._disk.wait_for_space()

    def _print_exit(self, process: Process) -> None:
        name, log = process.program.name, process.program.log
        tail = _indented(process.log_tail())
        self._print_line(f"{name} {process.exit_description()}; its log ({log}) ends:\n{tail}")

    async def _restart(self, exited: Process, group: list[Process], delay_s: float) -> Process:
        await self._wait_to_restart(exited.program, delay_s)
        try:
            restarted = await Process.start(exited.program)
        except ProcessError as error:
            if not self._disk.is_full():
                self._print_line(str(error))
            return exited
        group[group.index(exited)] = restarted
        return restarted

    async def _wait_to_restart(self, program: Program, delay_s: float) -> None:
        self._print_line(f"restarting {program.name} in {delay_s:g} s")
        await asyncio.sleep(delay_s)


def _limit_exceeded(process: Process, crashes: int) -> RestartLimitExceeded:
    return RestartLimitExceeded(
        f"{process.program.name} crashed {crashes} times in a row; its log ends:\n{process.log_tail()}"
    )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()) or "    (empty)"
