"""X-Accel-Redirect: NGINX sends variants from the edge's disk cache.

NGINX keeps Content-Type and Cache-Control of the edge's response; all other headers are added again
here. Conditional requests and ranges are left to the edge, and NGINX caches no copy.
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
"""Headers of the edge's response that NGINX drops on X-Accel-Redirect."""

_SECURITY_HEADERS = {
    "Referrer-Policy": "$tagify_referrer",
    "X-Frame-Options": "$tagify_frame",
    "Strict-Transport-Security": "$tagify_hsts",
    "X-Request-ID": "$tagify_request_id",
    "Last-Modified": '""',
}
"""The headers of security.conf, and an empty Last-Modified in place of the file's."""


def sendfile_type(settings: NginxSettings) -> str:
    """Return the value of `X-Sendfile-Type`, which permits the edge to send a file name instead of bytes."""
    return X_ACCEL_REDIRECT if settings.edge_x_accel else ""


def variant_cache_zone(settings: NginxSettings) -> str:
    """Return the cache zone of variants; `off` if NGINX sends the edge's files."""
    return "off" if settings.edge_x_accel else "tagify_media"


def x_accel_locations(folder: Path, settings: NginxSettings) -> str:
    """Return the location of the files, and the fallback that proxies the bytes if one is unreadable."""
    if not settings.edge_x_accel:
        return ""
    cache = settings.edge_cache_dir
    # Only names of body files: neither the cache's index nor the target of a symbolic link.
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
