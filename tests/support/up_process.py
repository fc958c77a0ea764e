"""Runs `tagify up` as a process, and observes it through its output and its HTTP API."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.ports import free_ports
from tests.support.waiting import until

COMMAND = (sys.executable, "-m", "tagify.cli.main", "up")


class UpProcess:
    """A running `tagify up` process."""

    def __init__(self, process: asyncio.subprocess.Process, data: Path, port: int, output: Path) -> None:
        self.process = process
        self.data = data
        self.port = port
        self.output = output

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def output_text(self) -> str:
        return self.output.read_text()

    async def get_json(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return await response.json(content_type=None)

    async def wait_for_images(self, number: int) -> list[dict[str, Any]]:
        """Wait until the list has `number` images, and return them."""

        async def probe() -> tuple[list[dict[str, Any]]] | None:
            assert self.process.returncode is None, self.output_text()
            try:
                items: list[dict[str, Any]] = (await self.get_json("/api/images?limit=200"))["items"]
            except (aiohttp.ClientError, KeyError):
                return None
            return (items,) if len(items) == number else None

        images = await until(probe, timeout_s=60)
        assert images is not None
        return images[0]

    def child_pids(self) -> dict[str, int]:
        """The pids of the child processes, by server name or last argument of the command."""
        pids = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (OSError, IndexError):
                continue
            # A child that has ended and is not reaped yet has no command.
            if parent == self.process.pid and (words := command.split()):
                name = next((n for n in ("mongod", "minio", "weed", "nginx") if n in words[0]), None)
                pids[name or words[-1]] = int(folder.name)
        return pids

    async def interrupt(self) -> int:
        """Send SIGINT to the process group, as Ctrl-C in a terminal does; returns the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        async with asyncio.timeout(10):
            return await self.process.wait()


@asynccontextmanager
async def run_up(folder: Path, *arguments: str, command: Sequence[str] = COMMAND) -> AsyncIterator[UpProcess]:
    """Run `tagify up` with a separate data folder and port until the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    data, port, output = folder / "data", free_ports(), folder / "output.txt"
    with output.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *command,
            "--data-dir",
            str(data),
            "--port",
            str(port),
            *arguments,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    up = UpProcess(process, data, port, output)
    try:
        yield up
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(12):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        os.kill(pid, 0)
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (OSError, ProcessLookupError):
        return False
