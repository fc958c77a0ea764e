"""The settings of ingest."""

from pydantic import Field

from tagify.settings.common import CommonSettings
from tagify.settings.types import Hosts, Port, Roots, StringList


class IngestSettings(CommonSettings):
    """Settings of ingest, which keeps the catalog equal to the folders."""

    ingest_host: Hosts = Field(
        ("127.0.0.1",), description="Addresses of ingest's health and metrics pages, comma-separated."
    )
    ingest_port: Port = Field(8082, description="Port of ingest's health and metrics pages.")
    ingest_workers: int = Field(12, ge=1, le=32, description="Maximum number of files imported concurrently.")
    ingest_decode_mb: int = Field(
        256,
        ge=32,
        le=65_536,
        description="Decoded pixels of images that are decoded concurrently, in MB: "
        "one that takes more than an eighth of it is decoded alone.",
    )
    ingest_decode_s: int = Field(
        20,
        ge=1,
        le=600,
        description="Deadline for decoding one file, in seconds; a file that takes longer has failed.",
    )
    ingest_decoder_mb: int = Field(
        1280,
        ge=128,
        le=65_536,
        description="Memory limit of a process that decodes a large image alone, in MB; "
        "an image that takes more has failed.",
    )
    ingest_root_check_s: float = Field(
        10.0,
        ge=0.1,
        le=600,
        description="Deadline of checks of a library's root folder, in seconds: a library whose file system "
        "does not answer is suspended until it does.",
    )
    ingest_settle_s: float = Field(
        1.0, ge=0.05, le=600, description="Debounce: a file is imported once unchanged this long, in seconds."
    )
    ingest_queue_size: int = Field(1000, ge=1, le=100_000, description="Maximum number of queued files.")
    ingest_batch_size: int = Field(
        200, ge=1, le=1000, description="Maximum number of documents per write to MongoDB."
    )
    ingest_batch_ms: int = Field(
        250, ge=1, le=10_000, description="Maximum wait of an imported file for its batch, in milliseconds."
    )
    ingest_disk_folders: Roots = Field(
        (),
        description="Folders on whose disks MongoDB and the S3 server store their data: imports wait "
        "while one is nearly full. Empty: the servers are on other hosts.",
    )
    ingest_min_free_mb: int = Field(
        256,
        ge=0,
        le=1_000_000_000,
        description="Imports wait while a disk of TAGIFY_INGEST_DISK_FOLDERS has less free space, in MB.",
    )
    ingest_reconcile_s: float = Field(
        3600.0,
        ge=1,
        le=604_800,
        description="Interval of full scans, which reconcile folder and catalog, in seconds.",
    )
    ingest_removal_wait_s: float = Field(
        604_800.0,
        ge=0,
        description="Mass-deletion guard: deleting more than 50 images and more than 10% of a library "
        "at once needs approval; without it, it proceeds after this time, in seconds (0: never).",
    )
    ingest_poll_s: float = Field(
        60.0,
        ge=0.1,
        le=86_400,
        description="Interval of polling folders without inotify watches, in seconds.",
    )
    ingest_poll_filesystems: StringList = Field(
        ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "fuse.rclone"),
        description="File systems that are also polled, since other hosts change them, comma-separated.",
    )
    ingest_forget_days: float = Field(
        30.0, gt=0, description="Days after which a missing image, its tags included, is deleted."
    )
    ingest_sweep_s: float = Field(
        21_600.0,
        ge=1,
        description="Interval of garbage collection of missing images and unreferenced objects, in seconds.",
    )
    ingest_sweep_grace_s: float = Field(
        86_400.0, ge=0, description="Garbage collection keeps younger objects, in seconds."
    )
    ingest_exclude: StringList = Field(
        (
            *(".*", "Thumbs.db", "*.tmp", "*.part", "*.crdownload", "lost+found"),
            *("@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot"),
            *("$RECYCLE.BIN", "$Recycle.Bin", "System Volume Information", "*.photoslibrary"),
        ),
        description="Names of files and folders to ignore (globs), comma-separated.",
    )
