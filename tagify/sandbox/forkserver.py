"""Fork server and decoding workers: `python -m tagify.sandbox.forkserver FD`.

The fork server has loaded all decoders and forks a worker when the parent requests one: that takes a few
milliseconds and shares its memory, where a fresh interpreter takes a third of a second. A worker is confined
(`confinement`) before it reads the first byte: it cannot open files, so modules are loaded before the fork.
"""

import ctypes
import errno
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
from tagify.sandbox.confinement import confine, hide_memory
from tagify.sandbox.jobs import DecodeJob, run_job
from tagify.sandbox.shared_memory import SharedBuffer

_PR_SET_PDEATHSIG = 1
_NICE = 5
"""Workers have a lower priority than the parent: serving cached responses comes before rendering."""

_OOM_SCORE_ADJ = 900
"""When memory is short the kernel ends a decoder first, not the service or a database."""

_ALARM_MARGIN_S = 5
"""The parent kills a worker at its deadline; this much later a worker without a parent ends itself."""

_MAX_OPEN_FILES = 32
"""Descriptors of a worker: connection, source and output, and a margin for decoders that duplicate them."""

_MAX_ERROR_LENGTH = 500
"""Maximum length of an error text, in characters: a reply has to fit in one packet."""


_OWN_ERRNOS = {errno.EPERM, errno.EACCES, errno.ENOMEM, errno.EMFILE, errno.EFBIG}
"""What limits and confinement answer to a decoder."""


def main() -> None:
    """Fork workers until the parent has ended."""
    control = socket.socket(fileno=int(sys.argv[1]))
    _die_with_parent()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE_ADJ))
    hide_memory()
    from tagify.imaging.preload import preload  # noqa: PLC0415 - loaded once, and shared by all workers

    preload()

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends us
    gc.freeze()
    with suppress(ipc.ProtocolError, OSError):
        while True:
            message, fds = ipc.receive(control, fd_counts=(1,))
            limits = int(message["memory_bytes"]), int(message["result_bytes"])
            _fork(control, socket.socket(fileno=fds[0]), *limits)


def _fork(control: socket.socket, connection: socket.socket, memory_bytes: int, result_bytes: int) -> None:
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
        _die_with_parent()
        os.chdir("/")
        _silence()
        control.close()
        memory = _MemoryLimit(memory_bytes)
        _limit_resources(result_bytes)
        confine()
        _serve(connection, memory)
        status = 0
    finally:
        os._exit(status)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _silence() -> None:
    """Discard standard error: decoders write there about odd files, and the reply of a job has the reason."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


class _MemoryLimit:
    """The limit of the process's memory: what is in use at its start, plus a number of bytes."""

    def __init__(self, memory_bytes: int) -> None:
        self._maximum = memory_bytes
        self._in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        self.set(memory_bytes)

    def set(self, memory_bytes: int) -> None:
        """Set the limit for a job, at most the maximum. 0: the maximum."""
        soft = min(memory_bytes or self._maximum, self._maximum)
        resource.setrlimit(resource.RLIMIT_AS, (self._in_use + soft, self._in_use + self._maximum))


def _limit_resources(result_bytes: int) -> None:
    """Limit files in memory, disable core files, lower the priority."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (result_bytes, result_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MAX_OPEN_FILES, _MAX_OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)


def _serve(connection: socket.socket, memory: _MemoryLimit) -> None:
    with suppress(ipc.ProtocolError):
        while True:
            message, fds = ipc.receive(connection, fd_counts=(1,))
            deadline_s = int(message.pop("deadline_s"))
            job = DecodeJob(**message)
            signal.alarm(deadline_s + _ALARM_MARGIN_S)
            signal.setitimer(signal.ITIMER_PROF, job.cpu_s)  # SIGPROF ends the process
            memory.set(job.memory_bytes)
            _handle_job(connection, job, fds[0])
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)


def _handle_job(connection: socket.socket, job: DecodeJob, source_fd: int) -> None:
    """Run a job and send its reply."""
    start = time.perf_counter()
    result: int | bytes = 0
    reply: dict[str, Any] = {}
    with open(source_fd, "rb") as source, SharedBuffer() as output:
        try:
            result = run_job(job, source)
            if isinstance(result, bytes):
                output.append(result)
        except Exception as error:
            # An error of the disk, a bug, or a decoder in disorder: it ends this job alone.
            reply["undecodable"] = _describe(error)
            reply["errno"] = _disk_errno(error)
            reply["out_of_memory"] = isinstance(error, MemoryError) or isinstance(
                error.__cause__, MemoryError
            )
            result = 0
        reply["seconds"] = time.perf_counter() - start
        if isinstance(result, bytes):
            ipc.send(connection, reply, [output.fd])
        else:
            ipc.send(connection, reply | {"value": result})


def _disk_errno(error: Exception) -> int:
    """The errno of an error of reading the source; 0 for errors of decoding and of the confinement."""
    is_own = not isinstance(error, OSError) or error.errno in _OWN_ERRNOS
    return 0 if is_own else int(getattr(error, "errno", 0) or 0)


def _describe(error: Exception) -> str:
    text = str(error) if isinstance(error, (Undecodable, OSError)) else ""
    return text[:_MAX_ERROR_LENGTH] or f"the decoder failed ({type(error).__name__})"


if __name__ == "__main__":
    main()
