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
    """A command on the host failed."""


class ThrowawayHost:
    """A booted host. Commands run on it as its root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def command(self, *argv: str) -> list[str]:
        """The argv that runs the command on the host, by nsenter."""
        prefix = ["nsenter", "-t", self.init_pid(), *["-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w/", "--"]]
        return [*prefix, "env", "-i", "-C", "/", f"PATH={PATH}", "LANG=C.UTF-8", *argv]

    def init_pid(self) -> str:
        return (self._folder / "leader").read_text().strip()

    def run_unchecked(self, *argv: str, timeout_s: float = 120) -> tuple[int, str]:
        """Exit status and output of a command."""
        completed = subprocess.run(
            self.command(*argv), capture_output=True, text=True, timeout=timeout_s, check=False, cwd="/"
        )
        output = completed.stdout + completed.stderr if completed.returncode else completed.stdout
        return completed.returncode, output

    def run(self, *argv: str, timeout_s: float = 120) -> str:
        """Output of a command. Raises ThrowawayHostError if it fails."""
        code, out = self.run_unchecked(*argv, timeout_s=timeout_s)
        if code:
            raise ThrowawayHostError(f"{shlex.join(argv)}: status {code}: {out}")
        return out

    def shell(self, script: str, *arguments: str, timeout_s: float = 120) -> str:
        """Output of a bash script with `$0`, `$1` and so on. Raises ThrowawayHostError if it fails."""
        return self.run("bash", "-c", script, *arguments, timeout_s=timeout_s)

    async def start(self, *argv: str) -> asyncio.subprocess.Process:
        """Start a command in the background."""
        return await asyncio.create_subprocess_exec(
            *self.command(*argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/"
        )

    def unit_property(self, unit: str, name: str) -> str:
        """The value of a property of a systemd unit."""
        return self.run("systemctl", "show", "-P", name, unit).strip()

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit)

    def wait_until(self, condition: str, timeout_s: float = 60) -> None:
        """Poll until a shell condition succeeds on the host."""
        deadline = time.monotonic() + timeout_s
        while (last := self.run_unchecked("bash", "-c", condition))[0]:
            if time.monotonic() > deadline:
                raise ThrowawayHostError(f"not within {timeout_s:g} s: {condition}: {last[1].strip()}")
            time.sleep(0.1)

    def wait_until_booted(self) -> None:
        """Poll until systemd has finished booting."""
        deadline = time.monotonic() + BOOT_S
        state = ""
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                state = self.run_unchecked("systemctl", "is-system-running")[1].strip()
            if state in ("running", "degraded"):
                return
            time.sleep(0.1)
        raise ThrowawayHostError(f"the host did not boot: {state}")

    def reboot(self) -> None:
        before = self.init_pid()
        self.run_unchecked("systemctl", "reboot")
        deadline = time.monotonic() + BOOT_S
        while self.init_pid() == before:
            if time.monotonic() > deadline:
                raise ThrowawayHostError("the host did not shut down")
            time.sleep(0.1)
        self.wait_until_booted()


def unsupported_reason() -> str:
    """Why no host can be booted on this machine; empty if one can."""
    if os.geteuid() != 0:
        return "creating namespaces with cgroups needs root"
    if not all((CGROUPS / name).is_dir() and os.access(CGROUPS / name, os.W_OK) for name in HIERARCHIES):
        return "the cgroup hierarchies systemd, unified, pids, memory and cpu are not all writable"
    if not Path("/lib/systemd/systemd").exists():
        return "systemd is not installed"
    if subprocess.run(["unshare", "--pid", "--mount", "--net", "--fork", "true"], check=False).returncode:
        return "namespaces are not permitted"
    return ""


@contextmanager
def throwaway_host(folder: Path, rootfs: Path) -> Iterator[ThrowawayHost]:
    """A booted host with the files of `rootfs` laid over its root; deleted at the end."""
    if reason := unsupported_reason():
        pytest.skip(f"no host can be booted here: {reason}")
    name = f"tagify-host{secrets.token_hex(4)}"
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
