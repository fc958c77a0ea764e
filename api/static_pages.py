"""The files of the pages: read once at start, so that no client's path reaches the disk."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from tagify.errors import NotFound
from tagify.web import etag_matches

GALLERY = Path(__file__).parent / "gallery"
REFERENCE = Path(__file__).parent / "reference"
INDEX = "index.html"

MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
"""A table of our own: the machine's may say anything, and a browser refuses a module of another type."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page, its media type and its entity tag (without quotes)."""

    body: bytes
    mime: str
    etag: str


def load(folder: Path) -> Mapping[str, PageFile]:
    """The files of the folder by name, those whose type is known."""
    return {path.name: _file(path) for path in sorted(folder.iterdir()) if path.suffix in MEDIA_TYPES}


def policy(*media_urls: str) -> str:
    """The Content-Security-Policy of the page: its own files, and pictures of the media's origins."""
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


def answer(
    request: web.Request, files: Mapping[str, PageFile], name: str, content_policy: str
) -> web.Response:
    """The file of this name under a policy, or 304 where the client has it. Raises NotFound."""
    file = files.get(name)
    if file is None:
        raise NotFound(f"the page has no file {name}")
    headers = {
        hdrs.ETAG: f'"{file.etag}"',
        hdrs.CACHE_CONTROL: "no-cache",
        "Content-Security-Policy": content_policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    if etag_matches(request, file.etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, content_type=file.mime, charset="utf-8", headers=headers)


def _file(path: Path) -> PageFile:
    body = path.read_bytes()
    return PageFile(body, MEDIA_TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:32])
