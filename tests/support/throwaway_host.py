"""A throwaway host: this machine's systemd, booted in namespaces over an overlay of its root."""

import asyncio
import contextlib
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("throwaway_host.sh")
CGROUPS = Path("/sys/fs/cgroup")
HIERARCHIES = ("systemd", "unified", "pids", "memory", "cpu")
BOOT_S = 90.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ThrowawayHostError(AssertionError):
    """A command in the box failed."""


class ThrowawayHost:
    """A booted host. Commands run in it as its root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def command(self, *argv: str) -> list[str]:
        """The command as it is run from outside."""
        entered = ["nsenter", "-t", self.init_pid(), *["-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w/", "--"]]
        return [*entered, "env", "-i", "-C", "/", f"PATH={PATH}", "LANG=C.UTF-8", *argv]

    def init_pid(self) -> str:
        return (self._folder / "leader").read_text().strip()

    def run_unchecked(self, *argv: str, timeout_s: float = 120) -> tuple[int, str]:
        """Exit status and output of a command."""
        done = subprocess.run(
            self.command(*argv), capture_output=True, text=True, timeout=timeout_s, check=False, cwd="/"
        )
        return done.returncode, done.stdout + done.stderr if done.returncode else done.stdout

    def run(self, *argv: str, timeout_s: float = 120) -> str:
        """The output of a command that succeeds."""
        code, out = self.run_unchecked(*argv, timeout_s=timeout_s)
        if code:
            raise ThrowawayHostError(f"{shlex.join(argv)}: status {code}: {out}")
        return out

    def shell(self, script: str, *words: str, timeout_s: float = 120) -> str:
        """The output of a script that succeeds; the words are its `$0`, `$1` and so on."""
        return self.run("bash", "-c", script, *words, timeout_s=timeout_s)

    async def start(self, *argv: str) -> asyncio.subprocess.Process:
        """A command that goes on beside the test."""
        return await asyncio.create_subprocess_exec(
            *self.command(*argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/"
        )

    def unit_property(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "-P", name, unit).strip()

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit)

    def wait_until(self, condition: str, timeout_s: float = 60) -> None:
        """Return once a shell condition holds in the box."""
        deadline = time.monotonic() + timeout_s
        while (last := self.run_unchecked("bash", "-c", condition))[0]:
            if time.monotonic() > deadline:
                raise ThrowawayHostError(f"not within {timeout_s:g} s: {condition}: {last[1].strip()}")
            time.sleep(0.1)

    def wait_until_booted(self) -> None:
        """Return once the box has come up."""
        deadline = time.monotonic() + BOOT_S
        state = ""
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                state = self.run_unchecked("systemctl", "is-system-running")[1].strip()
            if state in ("running", "degraded"):
                return
            time.sleep(0.1)
        raise ThrowawayHostError(f"the box did not boot: {state}")

    def reboot(self) -> None:
        before = self.init_pid()
        self.run_unchecked("systemctl", "reboot")
        deadline = time.monotonic() + BOOT_S
        while self.init_pid() == before:
            if time.monotonic() > deadline:
                raise ThrowawayHostError("the box did not go down")
            time.sleep(0.1)
        self.wait_until_booted()


def unsupported_reason() -> str:
    """Why no box can be booted here; empty where one can."""
    if os.geteuid() != 0:
        return "only root may make namespaces with cgroups"
    if not all((CGROUPS / name).is_dir() and os.access(CGROUPS / name, os.W_OK) for name in HIERARCHIES):
        return "the cgroup hierarchies systemd, unified, pids, memory and cpu are not all writable"
    if not Path("/lib/systemd/systemd").exists():
        return "systemd is not installed"
    if subprocess.run(["unshare", "--pid", "--mount", "--net", "--fork", "true"], check=False).returncode:
        return "namespaces are not allowed"
    return ""


@contextmanager
def throwaway_host(folder: Path, rootfs: Path) -> Iterator[ThrowawayHost]:
    """A booted box with these files laid over its root; all of it is gone afterwards."""
    if why := unsupported_reason():
        pytest.skip(f"no box can be booted here: {why}")
    name = f"tagify-box-{secrets.token_hex(4)}"
    folder.mkdir(exist_ok=True)
    (folder / "rootfs").symlink_to(rootfs)
    log = (folder / "log").open("wb")
    holder = subprocess.Popen(
        ["unshare", "--mount", "bash", str(SCRIPT), str(folder), name],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    host = ThrowawayHost(folder)
    try:
        _wait_for_init(folder, holder)
        host.wait_until_booted()
        yield host
    finally:
        (folder / "stop").touch()
        with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
            os.kill(int(host.init_pid()), signal.SIGKILL)
        try:
            holder.wait(30)
        finally:
            log.close()
            _remove_cgroups(name)
            shutil.rmtree(folder, ignore_errors=True)


def _wait_for_init(folder: Path, holder: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + BOOT_S
    while not (folder / "leader").exists():
        if holder.poll() is not None or time.monotonic() > deadline:
            raise ThrowawayHostError((folder / "log").read_text())
        time.sleep(0.05)


def _remove_cgroups(name: str) -> None:
    for hierarchy in HIERARCHIES:
        for folder, _, _ in os.walk(CGROUPS / hierarchy / name, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
