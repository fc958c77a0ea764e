"""A mongod or an api as a process that tests kill and start again."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tagify.servers.mongod import mongo_server
from tagify.servers.process import Process, Program
from tests.support.ports import free_ports
from tests.support.servers import find_binary


class KillableProcess:
    """A program that can be killed and started again."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._process: Process | None = None

    async def start(self) -> None:
        self._process = await Process.start(self.program)

    async def kill(self) -> None:
        """Send SIGKILL and wait for the exit."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def wait_until_exited(self) -> None:
        """Wait for its exit."""
        assert self._process is not None
        await self._process.wait()

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop()


@asynccontextmanager
async def killable_process(program: Program) -> AsyncIterator[KillableProcess]:
    """Run the program; stops it at the end of the block."""
    process = KillableProcess(program)
    try:
        await process.start()
        yield process
    finally:
        await process.stop()


def mongod_program(folder: Path) -> tuple[Program, str]:
    """A mongod for one test, and its URI."""
    server = mongo_server(find_binary("mongod"), folder / "mongo", free_ports(), folder / "mongod.log")
    return server.program, server.uri


def api_program(folder: Path, name: str, **settings: object) -> tuple[Program, str]:
    """An api process with these settings, and its URL. It is ready once `/readyz` returns 200."""
    port = free_ports()
    url = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    values = {**settings, "api_port": port, "log_format": "text"}
    env = {f"TAGIFY_{key.upper()}": str(value) for key, value in values.items()}
    argv = (sys.executable, "-m", "api")
    return Program(name, argv, folder / f"{name}.log", ready, env=env, ready_timeout_s=60), url
