"""Fork server and decoding workers: `python -m tagify.sandbox.forkserver FD`.

The fork server has loaded all decoders and forks a worker when the parent requests one: that takes a few
milliseconds and shares its memory, where a fresh interpreter takes a third of a second.
"""

import ctypes
import gc
import os
import resource
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tagify.errors import Undecodable
from tagify.sandbox import ipc
from tagify.sandbox.jobs import DecodeJob, run_job
from tagify.sandbox.shared_memory import SharedBuffer

_PR_SET_PDEATHSIG = 1
_NICE = 5
"""Workers have a lower priority than the parent: serving cached responses comes before rendering."""

_ALARM_MARGIN_S = 5
"""The parent kills a worker at its deadline; this much later a worker without a parent ends itself."""

_MAX_ERROR_LENGTH = 500
"""Maximum length of an error text, in characters: a reply has to fit in one packet."""


def main() -> None:
    """Fork workers until the parent has ended."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _die_with_parent()
    from tagify import imaging  # noqa: F401, PLC0415 - loaded once, and shared by all workers

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends us
    gc.freeze()
    with suppress(ipc.ProtocolError, OSError):
        while True:
            message, fds = ipc.receive(control)
            _fork(control, socket.socket(fileno=fds[0]), int(message["memory_bytes"]))


def _fork(control: socket.socket, connection: socket.socket, memory_bytes: int) -> None:
    pid = os.fork()
    if pid:
        connection.close()
        # A pidfd, for the pid may belong to another process by the time the parent sends a signal.
        pidfd = os.pidfd_open(pid)
        ipc.send(control, {"pid": pid}, [pidfd])
        os.close(pidfd)
        return
    status = 1
    try:
        control.close()
        _die_with_parent()
        _limit_resources(memory_bytes)
        _serve(connection)
        status = 0
    finally:
        os._exit(status)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_resources(memory_bytes: int) -> None:
    """Limit memory to what is in use plus `memory_bytes`, disable core files, lower the priority."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)


def _serve(connection: socket.socket) -> None:
    with suppress(ipc.ProtocolError):
        while True:
            message, fds = ipc.receive(connection)
            deadline_s = int(message.pop("deadline_s"))
            signal.alarm(deadline_s + _ALARM_MARGIN_S)
            _handle_job(connection, DecodeJob(**message), SharedBuffer(fds[0]))
            signal.alarm(0)


def _handle_job(connection: socket.socket, job: DecodeJob, source: SharedBuffer) -> None:
    start = time.perf_counter()
    with source, SharedBuffer() as output:
        reply: dict[str, Any] = {}
        try:
            result = run_job(job, Path(source.path))
        except (Undecodable, OSError, MemoryError) as error:
            reply["undecodable"] = str(error)[:_MAX_ERROR_LENGTH] or type(error).__name__
            result = 0
        reply["seconds"] = time.perf_counter() - start
        if isinstance(result, bytes):
            output.append(result)
            ipc.send(connection, reply, [output.fd])
        else:
            ipc.send(connection, reply | {"value": result})


if __name__ == "__main__":
    main()
