"""The working tree and the wheels of its dependencies, for installation on a host without network."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINS = ("pyproject.toml", "constraints.txt")


def build_wheels() -> Path:
    """Return a folder with the wheels of all dependencies and embedded servers; built once per set of pins."""
    pins = b"".join((ROOT / name).read_bytes() for name in PINS)
    folder = ROOT / ".tools" / f"wheels-{hashlib.sha256(pins).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{folder.name}.{os.getpid()}")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "-c", "constraints.txt", "-w", str(partial), ".[embedded]", "setuptools>=77", "wheel"],
        cwd=ROOT, check=True, timeout=600,
    )  # fmt: skip
    for tagify_wheel in partial.glob("tagify-*.whl"):
        tagify_wheel.unlink()
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
