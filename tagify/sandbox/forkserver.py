"""The processes themselves: `python -m tagify.sandbox.forkserver FD`.

One nursery has all decoders loaded and forks a worker whenever the parent asks for one: in a few
milliseconds, sharing its memory, where a fresh interpreter would take a third of a second.
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
"""Workers yield to the parent: answers that are at hand come before those to be made."""

_LONGEST_TEXT = 500


def main() -> None:
    """Fork workers until the parent has gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _die_with_parent()
    from tagify import imaging  # noqa: F401, PLC0415 - loaded once, for all that are forked from here

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    gc.freeze()
    with suppress(ipc.ProtocolError, OSError):
        while True:
            message, files = ipc.receive(control)
            _fork(control, socket.socket(fileno=files[0]), int(message["memory_bytes"]))


def _fork(control: socket.socket, end: socket.socket, memory_bytes: int) -> None:
    pid = os.fork()
    if pid:
        end.close()
        # A number may be another process's by the time it is used; this cannot.
        handle = os.pidfd_open(pid)
        ipc.send(control, {"pid": pid}, [handle])
        os.close(handle)
        return
    status = 1
    try:
        control.close()
        _die_with_parent()
        _limit_resources(memory_bytes)
        _serve(end)
        status = 0
    finally:
        os._exit(status)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_resources(memory_bytes: int) -> None:
    """No more memory than this beside what is held already, no core files, and less of the processor."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)


def _serve(end: socket.socket) -> None:
    with suppress(ipc.ProtocolError):
        while True:
            message, files = ipc.receive(end)
            deadline_s = int(message.pop("deadline_s"))
            # The parent kills before this; where it has died, an endless decode ends itself.
            signal.alarm(deadline_s + 5)
            _handle_job(end, DecodeJob(**message), SharedBuffer(files[0]))
            signal.alarm(0)


def _handle_job(end: socket.socket, job: DecodeJob, source: SharedBuffer) -> None:
    start = time.perf_counter()
    with source, SharedBuffer() as out:
        reply: dict[str, Any] = {}
        try:
            done = run_job(job, Path(source.path))
        except (Undecodable, OSError, MemoryError) as error:
            reply["undecodable"] = str(error)[:_LONGEST_TEXT] or type(error).__name__
            done = 0
        reply["seconds"] = time.perf_counter() - start
        if isinstance(done, bytes):
            out.append(done)
            ipc.send(end, reply, [out.fd])
        else:
            ipc.send(end, reply | {"number": done})


if __name__ == "__main__":
    main()
