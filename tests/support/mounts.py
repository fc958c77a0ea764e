"""A private mount namespace: its mounts are invisible outside, and end with it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.servers import skip_or_fail


class MountNamespace:
    """A mount namespace, kept open by a process; commands can be run inside."""

    def __init__(self, pid: int, *, as_root: bool) -> None:
        namespaces = ("-m",) if as_root else ("-U", "-m", "--preserve-credentials")
        self._enter = ("nsenter", "-t", str(pid), *namespaces, "--")

    def command_inside(self, *command: str) -> tuple[str, ...]:
        """The argv that runs a command inside."""
        return (*self._enter, *command)

    async def run(self, *command: str | Path) -> None:
        """Run a command inside; fails if it fails."""
        process = await asyncio.create_subprocess_exec(*self.command_inside(*map(str, command)))
        assert await process.wait() == 0, command

    async def bind(self, source: Path, target: Path) -> None:
        """Bind-mount a folder at another path."""
        await self.run("mount", "--bind", source, target)

    async def unmount(self, target: Path) -> None:
        """Unmount lazily, as if the device were unplugged."""
        await self.run("umount", "-l", target)


@asynccontextmanager
async def mount_namespace(*, as_root: bool = False) -> AsyncIterator[MountNamespace]:
    """A new mount namespace. `as_root`: can mount disk images; skips the test without root."""
    for program in ("unshare", "nsenter"):
        if shutil.which(program) is None:
            skip_or_fail(program, "sudo apt-get install util-linux")
    if as_root and os.geteuid() != 0:
        skip_or_fail("root", "mounting a disk image needs it")
    namespaces = ("-m",) if as_root else ("-U", "-r", "-m")
    holder = await asyncio.create_subprocess_exec(
        "unshare", *namespaces, "sh", "-c", "echo; exec sleep infinity", stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    try:
        if not await holder.stdout.readline():
            skip_or_fail("mount namespaces", "the kernel or the container forbids them")
        yield MountNamespace(holder.pid, as_root=as_root)
    finally:
        if holder.returncode is None:
            holder.kill()
        await holder.wait()
