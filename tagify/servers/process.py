"""Child processes: start, readiness probe, stop, and cleanup when the parent dies."""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import TagifyError

READY_POLL_S = 0.05
_PR_SET_PDEATHSIG = 1
# Loaded before any fork: dlopen is not safe in the forked child of a process with threads.
_LIBC = ctypes.CDLL(None, use_errno=True)


class ProcessError(TagifyError):
    """A program did not start; the message names it, the reason and the end of its log.

    `was_killed`: a signal ended it, or it exited without an error, so another start may succeed.
    """

    def __init__(self, message: str, *, was_killed: bool = False) -> None:
        super().__init__(message)
        self.was_killed = was_killed


@dataclass(frozen=True, slots=True)
class Program:
    """How to run a child process.

    `ready` is a readiness probe, polled every READY_POLL_S until it returns True. `post_start`
    runs after that at every start (it must be idempotent). `log` receives stdout and stderr;
    without it the child inherits ours.
    """

    name: str
    argv: tuple[str, ...]
    log: Path | None
    ready: Callable[[], Awaitable[bool]]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready_timeout_s: float = 30.0
    stop_grace_s: float = 5.0
    post_start: Callable[[], Awaitable[None]] | None = None


def _prepare_child() -> None:
    """Runs in the child before exec: the kernel sends it SIGTERM when the parent dies for any reason.

    Its files and sockets are closed to other users: SeaweedFS puts sockets into /tmp.
    """
    os.umask(0o077)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """A running program, leader of its process group."""

    def __init__(self, program: Program, child: asyncio.subprocess.Process) -> None:
        self.program = program
        self._child = child

    @classmethod
    async def start(cls, program: Program) -> Self:
        """Start the program and wait until it is ready.

        Raises ProcessError if it exits early or is not ready in time; it is stopped then.
        """
        process = cls(program, await _spawn(program))
        try:
            async with asyncio.timeout(program.ready_timeout_s):
                await process._ready_or_exited()
        except BaseException as error:
            await asyncio.shield(process.stop())
            if isinstance(error, TimeoutError):
                wait = program.ready_timeout_s
                raise ProcessError(
                    f"{program.name} was not ready after {wait:g} s\n{process.log_tail()}"
                ) from error
            raise
        return process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """Exit status; the negative signal number if a signal ended it; None while it runs."""
        return self._child.returncode

    async def wait(self) -> int:
        """Wait for its exit; returns the exit status."""
        return await self._child.wait()

    async def stop(self) -> int:
        """Stop it: SIGTERM, after `stop_grace_s` SIGKILL to its process group. Returns the exit status."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.terminate()
            try:
                async with asyncio.timeout(self.program.stop_grace_s):
                    await self._child.wait()
            except TimeoutError:
                pass
            finally:
                self.kill()
        return await self._child.wait()

    def kill(self) -> None:
        """Send SIGKILL to its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def log_tail(self, lines: int = 12) -> str:
        """Return the last lines of its log; empty without a log."""
        if self.program.log is None:
            return ""
        try:
            with self.program.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 16_384))
                text = log.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def exit_description(self) -> str:
        """Describe its exit: `exited with status 1`, `was killed by SIGKILL`."""
        code = self.returncode
        if code is None:
            return "is running"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"

    async def _ready_or_exited(self) -> None:
        """Wait until it is ready. Raises ProcessError as soon as it exits, and if it cannot be prepared."""
        ready, exited = asyncio.create_task(self._wait_until_ready()), asyncio.create_task(self._child.wait())
        try:
            await asyncio.wait({ready, exited}, return_when=asyncio.FIRST_COMPLETED)
            # The exit first: the probe also succeeds if another program has the port that ours cannot bind.
            if exited.done():
                raise ProcessError(
                    f"{self.program.name} {self.exit_description()}\n{self.log_tail()}",
                    was_killed=(self.returncode or 0) <= 0,
                )
            _raise_as_process_error(self.program.name, ready)
        finally:
            await cancel_and_wait(ready, exited)

    async def _wait_until_ready(self) -> None:
        while not await self.program.ready():  # noqa: ASYNC110 - a probe, not an event
            await asyncio.sleep(READY_POLL_S)
        # A program that could not bind its port has a moment to exit.
        await asyncio.sleep(READY_POLL_S)
        if self.program.post_start is not None:
            await self.program.post_start()


def _raise_as_process_error(name: str, ready: asyncio.Task[None]) -> None:
    error = ready.exception()
    if isinstance(error, ProcessError):
        raise error
    if error is not None:
        raise ProcessError(f"{name} cannot be prepared: {error}", was_killed=True) from error


def _open_log(log: Path | None) -> AbstractContextManager[BinaryIO | None]:
    if log is None:
        return contextlib.nullcontext()
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


async def _spawn(program: Program) -> asyncio.subprocess.Process:
    with _open_log(program.log) as log:
        try:
            return await asyncio.create_subprocess_exec(
                *program.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=program.cwd,
                env={**os.environ, **program.env},
                start_new_session=True,
                preexec_fn=_prepare_child,
            )
        except OSError as error:
            raise ProcessError(f"{program.name} cannot be started: {error}") from error
