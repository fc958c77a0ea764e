"""`python -I tools/install_locked.py LOCK [--editable]`: install Tagify from this folder, for `make`.

Every package comes from a lock file of `locks/` with its hash (`pip --require-hashes`). Packages without a
wheel are built with the setuptools of locks/build.txt, not with one that pip would fetch. Shows progress.
Only the standard library: this runs before anything is installed.
"""

import argparse
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD_LOCK = ROOT / "locks/build.txt"
PIP = (sys.executable, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off")
LOCKED = ("--require-hashes", "--no-build-isolation", "--use-pep517")

LINE_INTERVAL_S = 10.0
"""Time between two lines where the output is no terminal, in seconds."""

REMEDIES = (
    (
        "DO NOT MATCH THE HASHES",
        "a downloaded file differs from the one that was locked, and nothing of it was installed: try again; "
        "if it stays so, the package index or a proxy changes files, or the file was replaced",
    ),
    ("No space left on device", "the disk is full: free 1 GB, then run the same command again"),
    (
        r"(?i)name resolution|connection|timed out|max retries|no matching distribution",
        "the package index cannot be reached, or lacks a version: check the network and pip's settings "
        "(`pip config list`), then run the same command again",
    ),
)
"""Patterns of pip's output and what to do about them; the first match is printed."""

_COLLECTING = re.compile(r"(?:Collecting|Processing) ([\w.\[\]-]+)")
_SIZE = re.compile(r"(?:Downloading|Using cached) \S*?([^/\s]+) \(([\d.]+) ([kMG]?B)\)")
_MEGABYTES = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}


class Progress:
    """What pip has done, as one line that is overwritten; as a line now and again without a terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._count = 0
        self._megabytes = 0.0
        self._step = "looking for packages"
        self._start = self._last_line = time.monotonic()
        self._lock = threading.Lock()

    def read(self, line: str) -> None:
        """Update the state from a line of pip's output."""
        with self._lock:
            if match := _COLLECTING.search(line):
                self._count = min(self._count + 1, self._total)
                self._step = match[1]
            elif match := _SIZE.search(line):
                self._megabytes += float(match[2]) * _MEGABYTES[match[3]]
                self._step = f"{match[1].partition('-')[0]} ({match[2]} {match[3]})"
            elif line.startswith("Installing collected packages"):
                self._step = "unpacking"

    def text(self, elapsed_s: float) -> str:
        """The state after this time, in seconds."""
        with self._lock:
            rate = self._megabytes / max(elapsed_s, 0.1)
            left = elapsed_s * (self._total - self._count) / max(self._count, 1)
            remaining = f", about {left:.0f} s left" if 0 < self._count < self._total else ""
            return (
                f"  {self._count} of {self._total} packages, {self._megabytes:.0f} MB, {rate:.1f} MB/s"
                f"{remaining}: {self._step}"
            )

    def show(self) -> None:
        """Print the state."""
        now = time.monotonic()
        text = self.text(now - self._start)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[2K{text}")
        elif now - self._last_line >= LINE_INTERVAL_S:
            self._last_line = now
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Print the duration."""
        clear = "\r\x1b[2K" if sys.stderr.isatty() else ""
        seconds = time.monotonic() - self._start
        sys.stderr.write(f"{clear}  {self._total} packages are installed ({seconds:.0f} s)\n")


def main() -> int:
    """Install; returns the exit status of pip."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lock", type=Path)
    parser.add_argument("--editable", action="store_true")
    parsed = parser.parse_args()
    tagify = ("--editable", str(ROOT)) if parsed.editable else (str(ROOT),)
    progress = Progress(len(locked_packages(parsed.lock.read_text())))
    return (
        run_quietly(*PIP, "--require-hashes", "-r", str(BUILD_LOCK))
        or run_with_progress((*PIP, *LOCKED, "-r", str(parsed.lock)), progress)
        or run_quietly(*PIP, "--no-deps", "--no-build-isolation", "--use-pep517", *tagify)
    )


def locked_packages(lock: str) -> list[str]:
    """Return the packages of a lock file that are installed on Linux."""
    return re.findall(r"^([\w.-]+)==(?!.*sys_platform == 'win32')", lock, re.MULTILINE)


def remedy(output: str) -> str:
    """Return what to do after a failure with this output; empty where it shows no known cause."""
    return next((text for pattern, text in REMEDIES if re.search(pattern, output)), "")


def run_quietly(*command: str) -> int:
    """Run a command and print its output only if it fails; returns its exit status."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        _print_failure(done.stdout)
    return done.returncode


def run_with_progress(command: Sequence[str], progress: Progress) -> int:
    """Run pip and show its progress; prints its output only if it fails. Returns its exit status."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        ended = threading.Event()
        ticker = threading.Thread(target=_tick, args=(progress, ended))
        ticker.start()
        output = list(_read(pip.stdout or (), progress))
        status = pip.wait()
        ended.set()
        ticker.join()
    if status:
        _print_failure("".join(output))
    else:
        progress.close()
    return status


def _print_failure(output: str) -> None:
    advice = remedy(output)
    sys.stderr.write(f"\n{output}\n" + (f"Tagify is not installed: {advice}\n" if advice else ""))


def _tick(progress: Progress, ended: threading.Event) -> None:
    while not ended.wait(0.5):
        progress.show()


def _read(lines: Iterable[str], progress: Progress) -> Iterator[str]:
    for line in lines:
        progress.read(line)
        yield line


if __name__ == "__main__":
    raise SystemExit(main())
