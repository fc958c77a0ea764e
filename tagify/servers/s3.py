"""The embedded S3 server: MinIO if it is installed, otherwise SeaweedFS from its wheel."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tagify.errors import TagifyError
from tagify.servers import discovery
from tagify.servers.process import Program

S3Kind = Literal["minio", "seaweedfs"]
REGION = "us-east-1"

_MARKERS: Mapping[S3Kind, str] = {"minio": "minio", "seaweedfs": "weed"}
"""Content of the file `server` in a data folder, kept for existing folders. `weed`: SeaweedFS's binary."""


@dataclass(frozen=True, slots=True)
class S3Server:
    """An S3 server's program, endpoint and credentials."""

    kind: S3Kind
    program: Program
    endpoint: str
    access_key: str
    secret_key: str
    region: str = REGION

    @property
    def settings(self) -> dict[str, str]:
        """The settings that connect a service to this server, by field name."""
        return {
            "s3_endpoint": self.endpoint,
            "s3_access_key": self.access_key,
            "s3_secret_key": self.secret_key,
            "s3_region": self.region,
        }


class S3ServerMismatch(TagifyError):
    """The data folder was written by an S3 server that is not installed."""


def select_server(folder: Path) -> tuple[S3Kind, Path]:
    """Select the server for a data folder: the one that wrote it. Returns its kind and binary.

    A new folder gets MinIO if it is installed. Raises S3ServerMismatch, ServerNotFound.
    """
    binaries = {"minio": discovery.find_minio(), "seaweedfs": discovery.find_seaweedfs()}
    marker = folder / "server"
    previous = marker.read_text().strip() if marker.exists() else None
    for kind in get_args(S3Kind):
        binary = binaries[kind]
        if binary is not None and previous in (None, _MARKERS[kind]):
            return kind, binary
    if previous is not None:
        server, fix = ("minio", "make minio") if previous == "minio" else ("seaweedfs", discovery.EMBEDDED)
        raise S3ServerMismatch(f"{folder} was written by {server}, which is not installed: {fix}")
    raise discovery.ServerNotFound(
        f"no S3 server on this machine: {discovery.EMBEDDED}, make minio, or --s3-endpoint"
    )


def was_written_by(folder: Path, kind: S3Kind) -> bool:
    """Whether this server wrote the data folder."""
    marker = folder / "server"
    try:
        return marker.read_text().strip() == _MARKERS[kind]
    except OSError:
        return False


def record_server_kind(folder: Path, kind: S3Kind) -> None:
    """Record in the data folder which server writes it. Makes the folder."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "server").write_text(_MARKERS[kind] + "\n")
