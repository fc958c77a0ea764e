"""Types of setting values, each with its validation."""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

MAX_SOCKET_PATH_BYTES = 107


def _split_commas(value: object) -> object:
    """Split a comma-separated list; other values (defaults, tuples) pass unchanged."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _check_origin(value: str) -> str:
    parts = urlsplit(value)
    if value != "*" and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/")):
        raise ValueError(f"{value!r} is not an origin; write it as https://photos.example.org")
    return value if value == "*" else normalize_origin(value)


def normalize_origin(url: str) -> str:
    """The origin as clients and browsers write it: in lower case, without the default port of its scheme.

    HTTP clients leave that port out of the Host header, which signatures of S3 cover.
    """
    parts = urlsplit(url)
    port = parts.port
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    is_default = port is None or port == {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" if is_default else f"{parts.scheme}://{host}:{port}"


def _check_base_url(value: str) -> str:
    if value and urlsplit(value).scheme not in ("http", "https"):
        raise ValueError("must be empty or start with http:// or https://")
    return value.rstrip("/")


def _check_absolute(value: Path) -> Path:
    if not value.is_absolute():
        raise ValueError(f"{str(value)!r} must be an absolute path")
    return value


def _check_socket_path(value: str) -> str:
    # The kernel's sun_path holds 108 bytes, including the terminating zero.
    if value and (not value.startswith("/") or len(value.encode()) > MAX_SOCKET_PATH_BYTES):
        raise ValueError(f"{value!r} must be an absolute path of at most {MAX_SOCKET_PATH_BYTES} bytes")
    return value


_HOST_NAME = re.compile(r"\*|(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:.]*:[0-9a-f:.]*", re.ASCII)


def _check_host_name(value: str) -> str:
    name = value.lower().strip("[]")
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(
            f"{value!r} is not a host name; write it without scheme and port: photos.example.org"
        )
    return name


_NGINX_VALUE = re.compile(r"[\w.:/@*\[\]-]*( [\w.*-]+)*")


def _check_nginx_value(value: str) -> str:
    """Refuse characters that have a meaning in NGINX's configuration."""
    if not _NGINX_VALUE.fullmatch(value):
        raise ValueError(f"{value!r} may contain letters, digits and . : / - _ only")
    return value


def _check_nginx_path(value: str) -> str:
    """Refuse paths that cannot be quoted in NGINX's configuration."""
    if value and (not value.startswith("/") or re.search(r'["$\\\n\r]', value)):
        raise ValueError(f"{value!r} must be an absolute path without quotation marks, $ and \\")
    return value


def _check_nginx_folder(value: Path) -> Path:
    return Path(_check_nginx_path(str(value)))


Port = Annotated[int, Field(ge=0, le=65535)]
Hosts = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    NoDecode,
    BeforeValidator(_split_commas),
    Field(min_length=1),
]
StringList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)]
Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_check_origin)], ...], NoDecode, BeforeValidator(_split_commas)
]
HostNames = Annotated[
    tuple[Annotated[str, AfterValidator(_check_host_name)], ...], NoDecode, BeforeValidator(_split_commas)
]
Roots = Annotated[
    tuple[Annotated[Path, AfterValidator(_check_absolute)], ...], NoDecode, BeforeValidator(_split_commas)
]
Widths = Annotated[
    tuple[Annotated[int, Field(ge=16, le=8192)], ...],
    NoDecode,
    BeforeValidator(_split_commas),
    Field(min_length=1),
]
Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...],
    NoDecode,
    BeforeValidator(_split_commas),
]
Formats = Annotated[tuple[Literal["avif", "webp"], ...], NoDecode, BeforeValidator(_split_commas)]
BaseUrl = Annotated[str, AfterValidator(_check_base_url)]
SocketPath = Annotated[str, AfterValidator(_check_socket_path)]
NginxValue = Annotated[str, AfterValidator(_check_nginx_value)]
NginxPath = Annotated[str, AfterValidator(_check_nginx_path)]
NginxFolder = Annotated[Path, AfterValidator(_check_nginx_folder)]
NginxValues = Annotated[tuple[NginxValue, ...], NoDecode, BeforeValidator(_split_commas)]
