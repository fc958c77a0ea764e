"""The confinement of decoding processes, tried from inside: each test forks a child and confines it."""

import errno
import faulthandler
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from tagify.sandbox.confinement import Confinement, confine, landlock_abi, seccomp_filter


def _in_confined_child(attempt: Callable[[], object]) -> int:
    """As `_in_child`, after `confine`."""

    def confined() -> None:
        assert confine().seccomp
        attempt()

    return _in_child(confined)


def _in_child(attempt: Callable[[], object]) -> int:
    """The exit status of a forked child: 0 when the attempt succeeds, its errno when it fails."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 255
    try:
        faulthandler.disable()
        attempt()
        status = 0
    except OSError as error:
        status = error.errno or 254
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


SECRET = os.open("/proc/self/status", os.O_RDONLY)


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(lambda: Path("/etc/hostname").read_text(), id="reads a file"),
        pytest.param(
            lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(), id="environment of the parent"
        ),
        pytest.param(lambda: Path(f"/proc/{os.getppid()}/mem").open("rb").close(), id="memory of the parent"),
        pytest.param(lambda: Path("/proc/self/environ").read_bytes(), id="its own environment"),
        pytest.param(lambda: Path("/tmp/tagify-confined").write_text("x"), id="writes a file"),
        pytest.param(lambda: os.mkdir("/tmp/tagify-confined"), id="makes a folder"),
        pytest.param(lambda: os.unlink("/tmp/tagify-confined"), id="removes a file"),
        pytest.param(lambda: os.listdir("/"), id="lists a folder"),
        pytest.param(lambda: os.readlink("/proc/self/exe"), id="reads a link"),
        pytest.param(socket.socket, id="opens a TCP socket"),
        pytest.param(lambda: socket.socket(socket.AF_UNIX), id="opens a unix socket"),
        pytest.param(socket.socketpair, id="opens a pair of sockets"),
        pytest.param(os.fork, id="forks"),
        pytest.param(lambda: os.execv(sys.executable, [sys.executable, "-V"]), id="executes a program"),
        pytest.param(lambda: os.kill(os.getppid(), 0), id="signals its parent"),
        pytest.param(
            lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (5, 5)), id="limits its parent"
        ),
        pytest.param(lambda: os.setuid(0), id="becomes another user"),
        pytest.param(os.pipe, id="makes a pipe"),
        pytest.param(lambda: os.eventfd(0), id="makes an event descriptor"),
        pytest.param(lambda: os.pidfd_open(os.getppid()), id="gets a handle of its parent"),
    ],
)
def test_a_confined_process_is_refused(attempt: Callable[[], object]) -> None:
    assert _in_confined_child(attempt) == errno.EPERM


def _thread_runs() -> None:
    ran = threading.Event()
    thread = threading.Thread(target=ran.set)
    thread.start()
    thread.join()
    assert ran.is_set()


def _memory_file_works() -> None:
    fd = os.memfd_create("x")
    os.write(fd, b"bytes")
    assert os.pread(fd, 5, 0) == b"bytes"
    with open(os.dup(fd), "rb") as stream:
        stream.seek(0)
        assert stream.read() == b"bytes"


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(_thread_runs, id="a thread"),
        pytest.param(_memory_file_works, id="a memory file"),
        pytest.param(lambda: bytearray(64 << 20), id="memory"),
        pytest.param(lambda: os.read(SECRET, 1), id="an open descriptor"),
        pytest.param(lambda: signal.alarm(10), id="an alarm"),
        pytest.param(
            lambda: resource.setrlimit(resource.RLIMIT_AS, resource.getrlimit(resource.RLIMIT_AS)),
            id="limits",
        ),
    ],
)
def test_what_decoding_needs_works(attempt: Callable[[], object]) -> None:
    assert _in_confined_child(attempt) == 0


def test_abort_ends_the_process_by_its_signal() -> None:
    assert _in_confined_child(os.abort) == -signal.SIGABRT


def test_the_layers_are_reported() -> None:
    expected = Confinement(no_new_privs=True, landlock=landlock_abi(), seccomp=True)

    def check() -> None:
        assert confine() == expected

    assert _in_child(check) == 0


def test_another_architecture_has_a_filter_and_an_unknown_one_has_none() -> None:
    assert len(seccomp_filter("aarch64", 1)) % 8 == 0
    with pytest.raises(ValueError, match="riscv64"):
        seccomp_filter("riscv64", 1)


def test_the_memory_of_a_hidden_process_cannot_be_read_by_its_user() -> None:
    """Read as an ordinary user: root may read everything."""
    program = (
        "import ctypes, os\n"
        "from tagify.sandbox.confinement import hide_memory\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # a change of user hides it too\n"
        "def readable():\n"
        "    pid = os.getpid(); child = os.fork()\n"
        "    if child: return os.waitpid(child, 0)[1] == 0\n"
        "    try: open(f'/proc/{pid}/environ', 'rb').read(); os._exit(0)\n"
        "    except OSError: os._exit(1)\n"
        "before = readable(); hide_memory(); print(before, readable())\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "False"]
