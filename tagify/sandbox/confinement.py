"""Confines a decoding process: no files, no network, no other processes. `python -m` prints the layers.

Each layer is applied where the kernel has it, the next one does not rely on it:

- `no_new_privs`: no setuid program restores privileges that were dropped;
- Landlock (Linux 5.13): an empty rule set, so no path can be opened, created or removed, no TCP port used,
  no process outside the sandbox signalled, traced or read through `/proc`;
- seccomp: an allow list of system calls. Everything else fails with EPERM, so that a decoder that probes for
  an optional feature goes without it instead of dying.

Open descriptors stay usable: a worker gets the bytes to decode, and returns its result, by descriptors alone.
"""

import ctypes
import errno
import json
import os
import platform
import struct
import subprocess
import sys
from dataclasses import asdict, dataclass

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

_PROBE_TIMEOUT_S = 60
"""Timeout of the probe, in seconds: it starts an interpreter."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Confinement:
    """The layers that hold in a process. `landlock` is the kernel's ABI version, 0 where it has none."""

    no_new_privs: bool
    landlock: int
    seccomp: bool


def confine() -> Confinement:
    """Confine the calling thread and what it starts, for good. The process must have one thread."""
    no_new_privs = _prctl(_PR_SET_NO_NEW_PRIVS, 1) == 0
    return Confinement(no_new_privs, _apply_landlock(), _apply_seccomp())


def hide_memory() -> None:
    """Keep processes of the same user from reading this one's memory and environment through `/proc`.

    A process that is not dumpable can be traced, and its `/proc/PID/{mem,environ,fd}` opened, only with
    CAP_SYS_PTRACE. Child processes inherit it until they execute another program.
    """
    _prctl(_PR_SET_DUMPABLE, 0)


def probe_confinement() -> Confinement:
    """The layers that hold on this host, tried in a child process. Raises OSError, ValueError. Blocks."""
    command = [sys.executable, "-P", "-m", __name__]
    run = subprocess.run(command, capture_output=True, check=False, timeout=_PROBE_TIMEOUT_S)  # noqa: S603
    return Confinement(**json.loads(run.stdout))


def _prctl(option: int, value: int, pointer: object = 0) -> int:
    result: int = _libc.prctl(option, ctypes.c_ulong(value), pointer, 0, 0)
    return result


# --- Landlock ---------------------------------------------------------------------------------------------

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_CREATE_RULESET_VERSION = 1

_FS_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 5: 16}
"""Number of file system rights that exist from this ABI version on: each is one bit, from bit 0
(include/uapi/linux/landlock.h)."""
_NET_ABI, _NET_RIGHTS = 4, 0b11
"""TCP bind and connect."""
_SCOPE_ABI, _SCOPES = 6, 0b11
"""Abstract unix sockets and signals."""


def landlock_abi() -> int:
    """The kernel's Landlock ABI version; 0 where it has none, or it is disabled."""
    version: int = _libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
    return max(0, version)


def _apply_landlock() -> int:
    abi = landlock_abi()
    if not abi:
        return 0
    rights = (1 << max(count for since, count in _FS_RIGHTS_BY_ABI.items() if since <= abi)) - 1
    fields = [rights]
    if abi >= _NET_ABI:
        fields.append(_NET_RIGHTS)
    if abi >= _SCOPE_ABI:
        fields.append(_SCOPES)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset: int = _libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return 0
    try:
        restricted = _libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)
    return abi if restricted else 0


# --- seccomp ----------------------------------------------------------------------------------------------

_ALLOWED = {
    # name: number on (x86_64, aarch64); -1 where that architecture has no such call
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "poll": (7, -1),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "readv": (19, 65),
    "writev": (20, 66),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "dup": (32, 23),
    "nanosleep": (35, 101),
    "alarm": (37, -1),
    "setitimer": (38, 103),
    "getpid": (39, 172),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "exit": (60, 93),
    "ftruncate": (77, 46),
    "gettimeofday": (96, 169),
    "getcwd": (79, 17),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "set_robust_list": (273, 99),
    "ppoll": (271, 73),
    "getrandom": (318, 278),
    "memfd_create": (319, 279),
    "membarrier": (324, 283),
    "rseq": (334, 293),
}
"""System calls of a decoder: memory, its open descriptors, time, signals to itself, threads (below), and
`getcwd`, which is `/`: Pillow compares paths."""

_RESTRICTED = {
    # name: numbers as above, the argument that is checked, and the values that it may have
    "fcntl": ((72, 25), 1, (0, 1, 2, 3, 4, 1030, 1033, 1034)),
    "prlimit64": ((302, 261), 0, (0,)),
}
"""`fcntl` to duplicate descriptors, for their flags and seals; `prlimit64` for the process's own limits."""

_TGKILL = (234, 131)
"""Allowed towards the process itself: `abort` raises its signal by it."""
_CLONE = (56, 220)
_CLONE_THREAD = 0x00010000
"""`clone` is allowed for threads alone: decoders of AVIF and HEIC start some."""
_CLONE3 = (435, 435)
"""Its flags are behind a pointer that a filter cannot read: ENOSYS, upon which glibc uses `clone`."""

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
"""Numbers of the x32 ABI, which shares x86_64's architecture code, have this bit."""

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ALLOW, _EPERM, _ENOSYS = 0x80000000, 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_NUMBER_AT, _ARCH_AT = 0, 4
"""Offsets in `struct seccomp_data`."""


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def seccomp_filter(machine: str, pid: int) -> bytes:
    """The filter for the process `pid` as BPF (`struct sock_filter`s). Raises ValueError: unknown machine.

    `machine` is `x86_64` or `aarch64`.
    """
    column = list(_AUDIT_ARCH).index(machine)
    code = [
        _step(_LOAD, _ARCH_AT),
        _step(_JUMP_EQUAL, _AUDIT_ARCH[machine], when_true=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
        _step(_JUMP_AT_LEAST, _X32_BIT, when_false=1),
        _step(_RETURN, _KILL),
        *_when(_CLONE3[column], [_step(_RETURN, _ENOSYS)]),
        *_when(
            _CLONE[column],
            [
                _step(_LOAD, _argument_at(0)),
                _step(_JUMP_ANY_BIT, _CLONE_THREAD, when_false=1),
                _step(_RETURN, _ALLOW),
                _step(_RETURN, _EPERM),
            ],
        ),
        *_when(_TGKILL[column], _argument_in(0, (pid,))),
    ]
    for numbers, argument, values in _RESTRICTED.values():
        code += _when(numbers[column], _argument_in(argument, values))
    for numbers in _ALLOWED.values():
        if numbers[column] >= 0:
            code += _when(numbers[column], [_step(_RETURN, _ALLOW)])
    code.append(_step(_RETURN, _EPERM))
    return b"".join(code)


def _step(operation: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    """One instruction; the jumps are numbers of following instructions to skip."""
    return struct.pack("=HBBI", operation, when_true, when_false, value)


def _when(number: int, steps: list[bytes]) -> list[bytes]:
    """The steps, which end in a return, for this system call."""
    return [_step(_JUMP_EQUAL, number, when_false=len(steps)), *steps]


def _argument_in(index: int, values: tuple[int, ...]) -> list[bytes]:
    steps = [_step(_LOAD, _argument_at(index))]
    for value in values:
        steps += [_step(_JUMP_EQUAL, value, when_false=1), _step(_RETURN, _ALLOW)]
    return [*steps, _step(_RETURN, _EPERM)]


def _argument_at(index: int) -> int:
    """The offset of an argument's lower half; both architectures are little-endian."""
    return 16 + 8 * index


def _apply_seccomp() -> bool:
    try:
        code = seccomp_filter(platform.machine(), os.getpid())
    except ValueError:
        return False
    program = _Program(len(code) // len(_step(0, 0)), code)
    return _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program)) == 0


if __name__ == "__main__":
    print(json.dumps(asdict(confine())))
