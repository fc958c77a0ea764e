"""The kinds of values that settings take, each with its check."""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

LONGEST_SOCKET_PATH = 107


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


def _socket_path(value: str) -> str:
    # The kernel's sun_path holds 108 bytes, the last of them a zero.
    if value and (not value.startswith("/") or len(value.encode()) > LONGEST_SOCKET_PATH):
        raise ValueError(f"{value!r} must be an absolute path of at most {LONGEST_SOCKET_PATH} bytes")
    return value


_PLAIN = re.compile(r"[\w.:/@*\[\]-]*( [\w.*-]+)*")


def _plain(value: str) -> str:
    """The value where it holds nothing that means something to NGINX's configuration."""
    if not _PLAIN.fullmatch(value):
        raise ValueError(f"{value!r} may hold letters, digits and . : / - _ only")
    return value


def _quotable(value: str) -> str:
    """The path where it can stand between NGINX's quotation marks."""
    if value and (not value.startswith("/") or re.search(r'["$\\\n\r]', value)):
        raise ValueError(f"{value!r} must be an absolute path without quotation marks, $ and \\")
    return value


def _quotable_folder(value: Path) -> Path:
    return Path(_quotable(str(value)))


Port = Annotated[int, Field(ge=0, le=65535)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_split)]
Roots = Annotated[tuple[Annotated[Path, AfterValidator(_absolute)], ...], NoDecode, BeforeValidator(_split)]
Widths = Annotated[
    tuple[Annotated[int, Field(ge=16, le=8192)], ...], NoDecode, BeforeValidator(_split), Field(min_length=1)
]
Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...],
    NoDecode,
    BeforeValidator(_split),
]
Formats = Annotated[tuple[Literal["avif", "webp"], ...], NoDecode, BeforeValidator(_split)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
SocketPath = Annotated[str, AfterValidator(_socket_path)]
Plain = Annotated[str, AfterValidator(_plain)]
QuotablePath = Annotated[str, AfterValidator(_quotable)]
QuotableFolder = Annotated[Path, AfterValidator(_quotable_folder)]
PlainNames = Annotated[tuple[Plain, ...], NoDecode, BeforeValidator(_split)]
