"""Every setting of every service: one frozen model for each, read from `TAGIFY_` variables.

The services share one environment file on a host, so all names live here: a misspelt
variable is an error in whichever service reads it first. The table in the README is
checked against these models.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tagify.errors import SettingsError

PREFIX = "TAGIFY_"


def _split(value: object) -> object:
    """Lists are written with commas, as people write them in an env file."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if value != "*" and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/")):
        raise ValueError(f"{value!r} is no origin; write it as https://photos.example.org")
    return value.rstrip("/")


def _base_url(value: str) -> str:
    if value and urlsplit(value).scheme not in ("http", "https"):
        raise ValueError("must be empty or start with http:// or https://")
    return value.rstrip("/")


def _absolute(value: Path) -> Path:
    if not value.is_absolute():
        raise ValueError(f"{str(value)!r} must be an absolute path")
    return value


Port = Annotated[int, Field(ge=0, le=65535)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_split)]
Roots = Annotated[tuple[Annotated[Path, AfterValidator(_absolute)], ...], NoDecode, BeforeValidator(_split)]
Widths = Annotated[
    tuple[Annotated[int, Field(ge=16, le=8192)], ...], NoDecode, BeforeValidator(_split), Field(min_length=1)
]
BaseUrl = Annotated[str, AfterValidator(_base_url)]


class CommonSettings(BaseSettings):
    """What every service reads: where the data is, how to log."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    mongo_uri: SecretStr = Field(
        SecretStr("mongodb://127.0.0.1:27017/?directConnection=true"),
        description="MongoDB, as a connection URI. It must be a replica set (one node will do).",
    )
    mongo_database: str = Field(
        "tagify", min_length=1, max_length=38, pattern=r"^[\w-]+$", description="Name of the database."
    )
    mongo_timeout_s: float = Field(
        5.0, ge=0.1, le=120, description="Deadline of one database call, in seconds."
    )
    s3_endpoint: str = Field(
        "http://127.0.0.1:9000", description="MinIO or another S3 server: scheme, host and port, no path."
    )
    s3_access_key: SecretStr = Field(SecretStr(""), description="S3 access key.")
    s3_secret_key: SecretStr = Field(SecretStr(""), description="S3 secret key.")
    s3_region: str = Field(
        "us-east-1", min_length=1, description="S3 region. Set, so that signing asks no server."
    )
    s3_bucket_originals: str = Field(
        "tagify-originals", min_length=3, max_length=63, description="Bucket of the originals."
    )
    s3_bucket_thumbs: str = Field(
        "tagify-thumbs", min_length=3, max_length=63, description="Bucket of the thumbs."
    )
    s3_key_prefix: str = Field(
        "",
        pattern=r"^([\w.-]+/)*$",
        description="Put before every key, for a bucket shared with others; ends with /.",
    )
    s3_timeout_s: float = Field(
        10.0, ge=0.1, le=300, description="Longest silence of the S3 server that is waited for, in seconds."
    )
    library_roots: Roots = Field(
        (Path("/srv"), Path("/mnt"), Path("/media")),
        description="Folders under which a library may lie, with commas between.",
    )
    max_pixels: int = Field(
        250_000_000,
        ge=1_000_000,
        le=2_000_000_000,
        description="Images with more pixels are not decoded (decompression bombs).",
    )
    cors_origins: Origins = Field(
        (), description="Other origins whose pages may call the API, with commas between."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["json", "text"] = Field(
        "json", description="One JSON object a line, or text for a terminal."
    )

    @field_validator("mongo_uri")
    @classmethod
    def _mongo_scheme(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must start with mongodb:// or mongodb+srv://")
        return value

    @field_validator("s3_endpoint")
    @classmethod
    def _s3_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
            raise ValueError("must be http://host:port or https://host[:port], without a path")
        if parts.username or parts.password:
            raise ValueError(
                "must not carry credentials; they are TAGIFY_S3_ACCESS_KEY and TAGIFY_S3_SECRET_KEY"
            )
        return value.rstrip("/")

    @classmethod
    def load(cls) -> Self:
        """Read and check the environment of this process.

        Raises SettingsError with one line for each mistake, unknown names included.
        """
        problems = unknown_variables(os.environ)
        try:
            settings = cls()
        except ValidationError as error:
            problems += [
                f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg']}"
                for item in error.errors(include_url=False, include_input=False)
            ]
        if problems:
            raise SettingsError("\n".join(problems))
        return settings


class IngestSettings(CommonSettings):
    """The daemon that keeps the catalog equal to the folders."""

    ingest_host: str = Field("127.0.0.1", description="Address of the daemon's health and metrics page.")
    ingest_port: Port = Field(8082, description="Port of the daemon's health and metrics page.")
    ingest_workers: int = Field(
        8, ge=1, le=32, description="Files that are read and decoded at the same time."
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
    ingest_poll_filesystems: Names = Field(
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
    ingest_exclude: Names = Field(
        (".*", "@eaDir", "Thumbs.db", "*.tmp", "*.part", "*.crdownload", "lost+found"),
        description="File and folder names that are passed over (globs), with commas between.",
    )


class ApiSettings(CommonSettings):
    """The service that answers questions and changes tags."""

    api_host: str = Field("127.0.0.1", description="Address the API listens on.")
    api_port: Port = Field(8080, description="Port the API listens on.")
    media_base_url: BaseUrl = Field(
        "", description="Origin of the media URLs: the edge or a CDN. Empty when NGINX makes one origin."
    )
    media_widths: Widths = Field(
        (160, 320, 512, 768, 1024, 1600, 2048, 3072), description="Widths of the variants."
    )


class EdgeSettings(CommonSettings):
    """The service that delivers bytes."""

    edge_host: str = Field("127.0.0.1", description="Address the edge listens on.")
    edge_port: Port = Field(8081, description="Port the edge listens on.")
    media_widths: Widths = Field(
        (160, 320, 512, 768, 1024, 1600, 2048, 3072), description="Widths of the variants."
    )
    edge_cache_dir: Path = Field(Path("/var/cache/tagify/edge"), description="Folder of the disk cache.")
    edge_cache_bytes: int = Field(
        10_000_000_000, ge=1_000_000, description="Largest size of the disk cache, in bytes."
    )
    edge_workers: int = Field(2, ge=1, le=64, description="Variants that are made at the same time.")
    edge_queue_size: int = Field(
        64, ge=1, le=10_000, description="Variants that may wait for a worker; more are answered with 503."
    )


SERVICES: tuple[type[CommonSettings], ...] = (IngestSettings, ApiSettings, EdgeSettings)


def variable_names() -> frozenset[str]:
    """The variables of all services, in capitals with their prefix."""
    return frozenset(PREFIX + name.upper() for model in SERVICES for name in model.model_fields)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """One line for each `TAGIFY_` variable that no service knows, with the nearest known name."""
    known = variable_names()
    lines = []
    for name in sorted(
        name for name in environ if name.upper().startswith(PREFIX) and name.upper() not in known
    ):
        near = difflib.get_close_matches(name.upper(), known, n=1)
        lines.append(f"{name}: unknown setting" + (f"; did you mean {near[0]}?" if near else ""))
    return lines
