"""What every service reads: where the data is, how to log."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tagify.settings.types import Origins, Roots

PREFIX = "TAGIFY_"


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
    slow_query_ms: int = Field(
        100, ge=1, le=600_000, description="Database calls that take longer are logged, in milliseconds."
    )
    s3_endpoint: str = Field(
        "http://127.0.0.1:9000", description="MinIO or another S3 server: scheme, host and port, no path."
    )
    s3_public_endpoint: str = Field(
        "", description="The S3 server as browsers reach it, for pre-signed URLs; empty for the same."
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
    media_mode: Literal["proxy", "presigned"] = Field(
        "proxy",
        description="Where lists send browsers for media: to the edge, or to the store by pre-signed URLs.",
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

    max_connections: int = Field(
        12_288,
        ge=16,
        le=1_000_000,
        description="Connections of clients that a service holds at a time; "
        "one that asks nothing makes room for a new one.",
    )
    drain_s: float = Field(
        5.0,
        ge=0,
        le=600,
        description="How long requests under way may take once a service was told to stop, in seconds.",
    )
    settings_file: str = Field(
        "",
        description="A file with more of these variables, one NAME=value a line; "
        "the environment goes before it.",
    )

    @field_validator("mongo_uri")
    @classmethod
    def _mongo_scheme(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must start with mongodb:// or mongodb+srv://")
        return value

    @field_validator("s3_endpoint", "s3_public_endpoint")
    @classmethod
    def _s3_url(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name == "s3_public_endpoint":
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
            raise ValueError("must be http://host:port or https://host[:port], without a path")
        if parts.username or parts.password:
            raise ValueError(
                "must not carry credentials; they are TAGIFY_S3_ACCESS_KEY and TAGIFY_S3_SECRET_KEY"
            )
        return value.rstrip("/")
