"""The gallery's files: read once at start, so that no client's path reaches the disk."""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

GALLERY = Path(__file__).parent / "gallery"
INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page, its media type and its strong ETag."""

    body: bytes
    mime: str
    etag: str


def load(folder: Path = GALLERY) -> Mapping[str, PageFile]:
    """All files of the folder by name."""
    return {path.name: _file(path) for path in sorted(folder.iterdir()) if path.is_file()}


def policy(media_base_url: str) -> str:
    """The Content-Security-Policy of the page: its own files, and pictures of the media's origin."""
    parts = urlsplit(media_base_url)
    media = f" {parts.scheme}://{parts.netloc}" if media_base_url else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' data: blob:{media}",
            f"media-src 'self'{media}",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _file(path: Path) -> PageFile:
    body = path.read_bytes()
    mime = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return PageFile(body, mime, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
