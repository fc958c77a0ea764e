"""A child process: how it is started, known to be ready, stopped, and never left behind."""

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

from tagify.errors import TagifyError

POLL_S = 0.05
_PR_SET_PDEATHSIG = 1
# Loaded before any fork: in the child of a process with threads nothing may be loaded.
_LIBC = ctypes.CDLL(None, use_errno=True)


class ProcessError(TagifyError):
    """A program did not start; the message says which, why, and how its log ends."""


@dataclass(frozen=True, slots=True)
class Program:
    """How a child process is run.

    `ready` is one quick probe, asked until it is True. `prepare` runs once after that, at
    every start, and does what the first one needs. `log` gets all its output; without one it
    goes where ours goes.
    """

    name: str
    argv: tuple[str, ...]
    log: Path | None
    ready: Callable[[], Awaitable[bool]]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready_timeout_s: float = 30.0
    stop_grace_s: float = 5.0
    prepare: Callable[[], Awaitable[None]] | None = None


def _die_with_parent() -> None:
    """In the child, before its program: ask the kernel for SIGTERM when the parent dies, however it dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """One running program."""

    def __init__(self, program: Program, child: asyncio.subprocess.Process) -> None:
        self.program = program
        self._child = child

    @classmethod
    async def start(cls, program: Program) -> Self:
        """Run the program and return when it is ready.

        Raises ProcessError when it ends early or is not ready in time; nothing is left then.
        """
        process = cls(program, await _spawn(program))
        try:
            async with asyncio.timeout(program.ready_timeout_s):
                await process._become_ready()
        except BaseException as error:
            await asyncio.shield(process.stop())
            if isinstance(error, TimeoutError):
                wait = program.ready_timeout_s
                raise ProcessError(
                    f"{program.name} was not ready after {wait:g} s\n{process.tail()}"
                ) from error
            raise
        return process

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, minus a signal's number where one ended it; None while it runs."""
        return self._child.returncode

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        return await self._child.wait()

    async def stop(self) -> int:
        """End it: SIGTERM, after the grace SIGKILL to its whole group. Its exit status."""
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
        """SIGKILL to it and to whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def tail(self, lines: int = 12) -> str:
        """The last lines of its log."""
        if self.program.log is None:
            return ""
        try:
            with self.program.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 16_384))
                text = log.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def ending(self) -> str:
        """How it ended, in words."""
        code = self.returncode
        if code is None:
            return "runs"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"

    async def _become_ready(self) -> None:
        while not await self.program.ready():
            if self.returncode is not None:
                raise ProcessError(f"{self.program.name} {self.ending()}\n{self.tail()}")
            await asyncio.sleep(POLL_S)
        if self.returncode is not None:
            # Its port answers, but it is another's: ours could not have it.
            raise ProcessError(f"{self.program.name} {self.ending()}\n{self.tail()}")
        if self.program.prepare is not None:
            await self.program.prepare()


def _opened(log: Path | None) -> AbstractContextManager[BinaryIO | None]:
    if log is None:
        return contextlib.nullcontext()
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


async def _spawn(program: Program) -> asyncio.subprocess.Process:
    with _opened(program.log) as log:
        try:
            return await asyncio.create_subprocess_exec(
                *program.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=program.cwd,
                env={**os.environ, **program.env},
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        except OSError as error:
            raise ProcessError(f"{program.name} cannot be run: {error}") from error
