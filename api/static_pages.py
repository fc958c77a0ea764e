"""Static files of the gallery and the API reference, read at start: no request path reaches the disk."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from tagify.errors import NotFound
from tagify.web import etag_matches

GALLERY_FOLDER = Path(__file__).parent / "gallery"
REFERENCE_FOLDER = Path(__file__).parent / "reference"
INDEX = "index.html"

MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
"""Fixed media types: the system's table may differ, and browsers reject modules of another type."""


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A static file, its media type, its entity tag (without quotes), and all other headers.

    The tag covers body and headers: NGINX and browsers keep the stored Content-Security-Policy after a 304.
    """

    body: bytes
    mime: str
    etag: str
    headers: Mapping[str, str]


def load_folder(folder: Path, content_policy: str) -> Mapping[str, StaticFile]:
    """The files of the folder by name; only files of the types in MEDIA_TYPES."""
    headers = {
        hdrs.CACHE_CONTROL: "no-cache",
        "Content-Security-Policy": content_policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    files = (path for path in sorted(folder.iterdir()) if path.suffix in MEDIA_TYPES)
    return {path.name: _read_file(path, headers) for path in files}


def content_security_policy(*media_urls: str) -> str:
    """A Content-Security-Policy that allows the page's own files, and media from the given URLs' origins."""
    origins = [urlsplit(url) for url in media_urls if url]
    media = "".join(f" {parts.scheme}://{parts.netloc}" for parts in origins)
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


def file_response(request: web.Request, files: Mapping[str, StaticFile], name: str) -> web.Response:
    """200 with the file, or 304 when `If-None-Match` matches. Raises NotFound."""
    file = files.get(name)
    if file is None:
        raise NotFound(f"the page has no file {name}")
    headers = {hdrs.ETAG: f'"{file.etag}"', **file.headers}
    if etag_matches(request, file.etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, content_type=file.mime, charset="utf-8", headers=headers)


def _read_file(path: Path, headers: Mapping[str, str]) -> StaticFile:
    body, mime = path.read_bytes(), MEDIA_TYPES[path.suffix]
    digest = hashlib.sha256(f"{mime}\n{sorted(headers.items())}\n".encode() + body)
    return StaticFile(body, mime, digest.hexdigest()[:32], headers)
