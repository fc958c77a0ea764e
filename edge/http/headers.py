"""Headers of media responses: caching, and protection against active content."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import quote

from aiohttp import hdrs

IMMUTABLE = "public, max-age=31536000, immutable"
"""For URLs that contain the content's hash: one year, in effect without limit."""

REVALIDATE = "no-cache"
"""For URLs by id: cached, and revalidated on each use; the response to that is a 304."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # An original may be any file of a library: no script in it may run.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}

OCTET_STREAM = "application/octet-stream"

SAFE_TYPES = re.compile(r"image/(?!svg)[\w.+-]+", re.ASCII)
"""Media types that contain nothing a browser executes."""


@lru_cache(maxsize=64)
def safe_content_type(mime: str) -> str:
    """The media type to send for a file: `application/octet-stream` where a browser might execute it."""
    return mime if SAFE_TYPES.fullmatch(mime) else OCTET_STREAM


def media_headers(etag: str, cache_control: str, modified: datetime | None = None) -> dict[str, str]:
    """The headers that all media responses have, 304 included."""
    headers = {hdrs.ETAG: etag, hdrs.CACHE_CONTROL: cache_control, **SECURITY_HEADERS}
    if modified is not None:
        headers[hdrs.LAST_MODIFIED] = http_date(modified)
    return headers


def http_date(time: datetime) -> str:
    """The time in the format of HTTP headers."""
    return format_datetime(time.astimezone(UTC), usegmt=True)


def content_disposition(name: str, *, download: bool) -> str:
    """A Content-Disposition (RFC 6266): the file name in ASCII for old clients, exact in `filename*`."""
    plain = "".join(char if " " <= char <= "~" and char not in '"\\%' else "_" for char in name)
    exact = quote(name.encode("utf-8", "replace"), safe="!#$&+-.^_`|~")
    kind = "attachment" if download else "inline"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{exact}"
