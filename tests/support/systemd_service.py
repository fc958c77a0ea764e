"""Runs a service as systemd does: with a notification socket, and listening sockets passed or configured."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.waiting import until


class NotifySocket:
    """Stands in for systemd's notification socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))
        self._path = path
        self._messages: list[str] = []

    def messages(self) -> list[str]:
        """All messages received so far."""
        while True:
            try:
                self._messages += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return list(self._messages)

    async def wait_for(self, message: str) -> bool:
        """Wait until the message has been received."""

        async def probe() -> bool:
            return message in self.messages()

        return await until(probe, timeout_s=30)

    def close(self) -> None:
        self._socket.close()
        self._path.unlink()


class ServiceProcess:
    """A running service process."""

    def __init__(self, process: asyncio.subprocess.Process, notify_socket: NotifySocket, log: Path) -> None:
        self.process = process
        self.notify_socket = notify_socket
        self._log = log

    def log_text(self) -> str:
        return self._log.read_text()

    async def wait_for_log(self, text: str) -> bool:
        async def probe() -> bool:
            return text in self.log_text()

        return await until(probe, timeout_s=30)

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            return await self.process.wait()


def as_environ(values: dict[str, Any]) -> dict[str, str]:
    """Settings as environment variables."""
    return {f"TAGIFY_{name.upper()}": str(value) for name, value in values.items()}


@asynccontextmanager
async def run_service(
    name: str,
    folder: Path,
    values: dict[str, Any],
    *,
    inherited_socket: socket.socket | None = None,
    extra_environ: dict[str, str] | None = None,
) -> AsyncIterator[ServiceProcess]:
    """Run a service with these settings until the end of the block.

    `inherited_socket`: a listening socket to pass to the service as systemd does.
    """
    notify_socket = NotifySocket(folder / "notify")
    environment = {
        **os.environ,
        **as_environ(values),
        "NOTIFY_SOCKET": str(folder / "notify"),
        **(extra_environ or {}),
    }
    command: tuple[str, ...] = (sys.executable, "-m", name)
    if inherited_socket is not None:
        environment["LISTEN_FDS"] = "1"
        # `exec` keeps the shell's pid, so that LISTEN_PID is the pid of the service.
        script = f'exec 3<&{inherited_socket.fileno()}; export LISTEN_PID=$$; exec "$@"'
        command = ("bash", "-c", script, "bash", *command)
    log = folder / f"{name}.log"
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdout=out,
            stderr=out,
            pass_fds=(inherited_socket.fileno(),) if inherited_socket is not None else (),
        )
    try:
        yield ServiceProcess(process, notify_socket, log)
    finally:
        notify_socket.close()
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            await process.wait()
