"""Headers of media: what may be cached for how long, and that nothing in them is run."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import quote

from aiohttp import hdrs

IMMUTABLE = "public, max-age=31536000, immutable"
"""For URLs that name the content: a year, which RFC 9111 lets caches take for ever."""

REVALIDATE = "no-cache"
"""For URLs by id: kept, but asked about each time; a 304 answers."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",
    # An original may be anything that somebody put into a folder; nothing in it shall run.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


OCTET_STREAM = "application/octet-stream"

SAFE_TYPES = re.compile(r"image/(?!svg)[\w.+-]+", re.ASCII)
"""Media types in which no browser runs anything."""


@lru_cache(maxsize=64)
def safe_content_type(mime: str) -> str:
    """The type to serve a file under: what a browser might run in is nothing but bytes."""
    return mime if SAFE_TYPES.fullmatch(mime) else OCTET_STREAM


def media_headers(etag: str, cache_control: str, modified: datetime | None = None) -> dict[str, str]:
    """The headers of any answer with media, 304 included."""
    headers = {hdrs.ETAG: etag, hdrs.CACHE_CONTROL: cache_control, **SECURITY_HEADERS}
    if modified is not None:
        headers[hdrs.LAST_MODIFIED] = http_date(modified)
    return headers


def http_date(time: datetime) -> str:
    """The time as HTTP writes it."""
    return format_datetime(time.astimezone(UTC), usegmt=True)


def content_disposition(name: str, *, download: bool) -> str:
    """A Content-Disposition (RFC 6266) that carries any name: plain for old clients, exact for others."""
    plain = "".join(char if " " <= char <= "~" and char not in '"\\%' else "_" for char in name)
    exact = quote(name.encode("utf-8", "replace"), safe="!#$&+-.^_`|~")
    kind = "attachment" if download else "inline"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{exact}"
