"""The settings of the daemon."""

from pydantic import Field

from tagify.settings.common import CommonSettings
from tagify.settings.types import Port, StringList


class IngestSettings(CommonSettings):
    """The daemon that keeps the catalog equal to the folders."""

    ingest_host: str = Field("127.0.0.1", description="Address of the daemon's health and metrics page.")
    ingest_port: Port = Field(8082, description="Port of the daemon's health and metrics page.")
    ingest_workers: int = Field(
        12, ge=1, le=32, description="Files that are on their way from folder to store at the same time."
    )
    ingest_decode_mb: int = Field(
        256,
        ge=32,
        le=65_536,
        description="Memory for decoded pixels at a time, in MB; what needs more waits, or goes alone.",
    )
    ingest_settle_s: float = Field(
        1.0, ge=0.05, le=600, description="A file is taken when it has not changed for this long, in seconds."
    )
    ingest_queue_size: int = Field(1000, ge=1, le=100_000, description="Files that may wait for a worker.")
    ingest_batch_size: int = Field(
        200, ge=1, le=1000, description="Most documents written to MongoDB in one batch."
    )
    ingest_batch_ms: int = Field(
        250, ge=1, le=10_000, description="Longest wait of a finished file for its batch, in milliseconds."
    )
    ingest_reconcile_s: float = Field(
        3600.0,
        ge=1,
        le=604_800,
        description="Time between two comparisons of folder and catalog, in seconds.",
    )
    ingest_removal_wait_s: float = Field(
        604_800.0,
        ge=0,
        description="A removal of more than 50 images and 10% goes ahead without approval after this time, "
        "in seconds; 0 for never.",
    )
    ingest_poll_s: float = Field(
        60.0,
        ge=0.1,
        le=86_400,
        description="Time between two looks at what the kernel does not watch, in seconds.",
    )
    ingest_poll_filesystems: StringList = Field(
        ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "fuse.rclone"),
        description="File systems that are polled too, since other hosts change them, with commas between.",
    )
    ingest_forget_days: float = Field(
        30.0, gt=0, description="An image whose file has gone is forgotten after so many days."
    )
    ingest_sweep_s: float = Field(
        21_600.0,
        ge=1,
        description="Time between two sweeps of what is forgotten and of objects not in use, in seconds.",
    )
    ingest_sweep_grace_s: float = Field(
        86_400.0, ge=0, description="Objects younger than this are never swept, in seconds."
    )
    ingest_exclude: StringList = Field(
        (".*", "@eaDir", "Thumbs.db", "*.tmp", "*.part", "*.crdownload", "lost+found"),
        description="File and folder names that are passed over (globs), with commas between.",
    )
