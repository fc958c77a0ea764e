"""The working tree and its locked dependencies, for installation on a host without network."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKS = ("locks/build.txt", "locks/up.txt")


def download_packages() -> Path:
    """Return a folder with all dependencies and embedded servers as locked; downloaded once per lock."""
    locks = b"".join((ROOT / name).read_bytes() for name in LOCKS)
    folder = ROOT / ".tools" / f"packages-{hashlib.sha256(locks).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{folder.name}.{os.getpid()}")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
    for lock in LOCKS:
        command = [*pip, "--require-hashes", "--no-build-isolation", "-d", str(partial), "-r", lock]
        subprocess.run(command, cwd=ROOT, check=True, timeout=600)
    if not folder.is_dir():
        partial.rename(folder)
    else:
        shutil.rmtree(partial)
    return folder


def copy_working_tree(folder: Path) -> None:
    """Copy the working tree to a folder, without ignored files, tests and docs."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and not name.startswith(("tests/", "docs/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, folder / name)
