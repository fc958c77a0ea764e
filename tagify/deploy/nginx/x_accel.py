"""What NGINX is told where it sends variants from the edge's disk cache itself (X-Accel-Redirect).

An answer that names a file brings its type and its Cache-Control along; every other header is put on
again here. NGINX neither decides conditions and ranges of such a file nor keeps a copy of it.
"""

from pathlib import Path

from tagify.settings import NginxSettings
from tagify.web.x_accel import CACHE_LOCATION, X_ACCEL_REDIRECT

_EDGE_HEADERS = (
    "ETag",
    "Vary",
    "Cross-Origin-Resource-Policy",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "X-Content-Type-Options",
    "Content-Security-Policy",
)
"""Headers of the edge that do not outlive an X-Accel-Redirect."""

_SECURITY_HEADERS = {
    "Referrer-Policy": "$tagify_referrer",
    "X-Frame-Options": "$tagify_frame",
    "Strict-Transport-Security": "$tagify_hsts",
    "X-Request-ID": "$tagify_request_id",
    "Last-Modified": '""',
}
"""What security.conf puts on every answer, and what a file alone would have."""


def sendfile_type(settings: NginxSettings) -> str:
    """What the edge is told in `X-Sendfile-Type`: whether it may name a file in place of its bytes."""
    return X_ACCEL_REDIRECT if settings.edge_x_accel else ""


def variant_cache_zone(settings: NginxSettings) -> str:
    """The cache of variants; none where the files are at hand."""
    return "off" if settings.edge_x_accel else "tagify_media"


def x_accel_locations(folder: Path, settings: NginxSettings) -> str:
    """The location of the files, and where the bytes come from if one cannot be read."""
    if not settings.edge_x_accel:
        return ""
    cache = settings.edge_cache_dir
    # The name of a body and nothing else: not the cache's books, nor what a link might lead to.
    return "\n".join(
        (
            f'location ~ "^{CACHE_LOCATION}([0-9a-f]{{2}}/[0-9a-f]{{2}}/[0-9a-f]{{28}}\\.body)$" {{',
            "    internal;",
            f'    alias "{cache}/$1";',
            f'    disable_symlinks on from="{cache}";',
            "    etag off;",
            "    if_modified_since off;",
            "    max_ranges 0;",
            "    log_not_found off;",
            *(f"    add_header {name} {_upstream_header(name)};" for name in _EDGE_HEADERS),
            *(f"    add_header {name} {value};" for name, value in _SECURITY_HEADERS.items()),
            "    error_page 403 404 500 = @tagify_bytes;",
            "}",
            f"location {CACHE_LOCATION} {{",
            "    internal;",
            "    return 404;",
            "}",
            "location @tagify_bytes {",
            f'    include "{folder}/media.conf";',
            '    proxy_set_header X-Sendfile-Type "";',
            "    recursive_error_pages on;",
            "    proxy_pass http://tagify_edge$request_uri;",
            "}",
        )
    )


def _upstream_header(name: str) -> str:
    return "$upstream_http_" + name.lower().replace("-", "_")
