"""Settings that all services share."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tagify.settings.types import (
    BaseUrl,
    HostNames,
    Networks,
    NginxValue,
    Origins,
    Port,
    Roots,
    normalize_origin,
)

PREFIX = "TAGIFY_"


class CommonSettings(BaseSettings):
    """Settings that all services share: servers, media, limits, logs."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    mongo_uri: SecretStr = Field(
        SecretStr("mongodb://127.0.0.1:27017/?directConnection=true"),
        description="Connection URI of MongoDB. It must be a replica set (one node is enough).",
    )
    mongo_database: str = Field(
        "tagify", min_length=1, max_length=38, pattern=r"^[\w-]+$", description="Name of the database."
    )
    mongo_timeout_s: float = Field(
        5.0, ge=0.1, le=120, description="Deadline of a database call, in seconds."
    )
    slow_query_ms: int = Field(
        100, ge=1, le=600_000, description="Slower database calls are logged, in milliseconds."
    )
    slow_s3_s: float = Field(
        1.0, gt=0, le=600, description="Slower requests to the S3 server are logged, in seconds."
    )
    slow_request_s: float = Field(
        2.0,
        gt=0,
        le=600,
        description="Slower HTTP requests are logged with what they waited for, in seconds; "
        "waiting for the client does not count.",
    )
    s3_endpoint: str = Field(
        "http://127.0.0.1:9000", description="URL of the S3 server: scheme, host and port, no path."
    )
    s3_public_endpoint: str = Field(
        "", description="URL of the S3 server for browsers (pre-signed URLs); empty: TAGIFY_S3_ENDPOINT."
    )
    s3_access_key: SecretStr = Field(SecretStr(""), description="S3 access key.")
    s3_secret_key: SecretStr = Field(SecretStr(""), description="S3 secret key.")
    s3_region: str = Field(
        "us-east-1", min_length=1, description="S3 region. Fixed, so that signing needs no request."
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
        description="Prefix of every object key, for a bucket shared with other programs; ends with /.",
    )
    s3_timeout_s: float = Field(
        10.0,
        ge=0.1,
        le=300,
        description="Read timeout of the S3 server: maximum time without a byte, in seconds.",
    )
    media_mode: Literal["proxy", "presigned"] = Field(
        "proxy",
        description="Media URLs in lists: of the edge (proxy), or of the S3 server (presigned).",
    )
    library_roots: Roots = Field(
        (Path("/srv"), Path("/mnt"), Path("/media")),
        description="Folders that libraries may be in, comma-separated.",
    )
    max_pixels: int = Field(
        250_000_000,
        ge=1_000_000,
        le=2_000_000_000,
        description="Images with more pixels are not decoded (protection from decompression bombs).",
    )
    cors_origins: Origins = Field(
        (), description="Other origins that may call the API (CORS), comma-separated."
    )
    hosts: HostNames = Field(
        (),
        description="Further names of the site, comma-separated; requests under other names are refused. "
        "`*.example.org`: its subdomains; `*`: any name.",
    )
    nginx_server_name: NginxValue = Field("_", min_length=1, description="Server name of the site; `_`: any.")
    trusted_proxies: Networks = Field(
        (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
        description="Networks of proxies whose X-Forwarded-For, -Host and -Proto are trusted, "
        "comma-separated.",
    )
    media_base_url: BaseUrl = Field(
        "", description="Origin of the media URLs: the edge or a CDN. Empty if NGINX serves one origin."
    )
    media_port: Port = Field(
        0,
        description="Without NGINX: port of the edge on the hosts of the API, which redirects media requests "
        "to it; 0: none.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Minimum log level.")
    log_format: Literal["json", "text"] = Field(
        "json", description="Log format: one JSON object per line, or text for a terminal."
    )

    max_connections: int = Field(
        12_288,
        ge=16,
        le=1_000_000,
        description="Maximum number of client connections of a service; "
        "when full, the longest-idle connection is closed.",
    )
    drain_s: float = Field(
        5.0,
        ge=0,
        le=600,
        description="Graceful shutdown: how long running requests may take after SIGTERM, in seconds.",
    )
    settings_file: str = Field(
        "",
        description="File with settings, one NAME=value per line; environment variables take precedence.",
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
        return normalize_origin(value)
