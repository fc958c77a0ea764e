"""Purge locations for NGINX's cache_purge module, if installed (Debian: libnginx-mod-http-cache-purge)."""

from pathlib import Path

MODULE = Path("/usr/lib/nginx/modules/ngx_http_cache_purge_module.so")

SLICE_BYTES = 1 << 20
"""Size of the slices in which originals are cached, in bytes."""

NORMALIZED_ACCEPTS = ("", "image/webp", "image/avif", "image/avif,image/webp")
"""Accept headers that NGINX sends to the edge, part of the cache key of thumbs by id: see cache.conf."""


def load_module_directive() -> str:
    """Return the directive that loads the module in a standalone nginx; Debian's configuration has it."""
    return f"load_module {MODULE};" if MODULE.exists() else ""


def purge_locations() -> list[str]:
    """Return locations: `/purge/media/...?origin=` purges one response by its cache key; `/purge` is 204.

    Without the module there are none, and `/purge` is 404.
    """
    if not MODULE.exists():
        return []
    return [
        "location = /purge {",
        "    return 204;",
        "}",
        'location ~ "^/purge/thumb/(?<purged>[0-9a-f]{64})$" {',
        '    proxy_cache_purge tagify_media "thumb $purged $arg_accept $arg_origin";',
        "}",
        'location ~ "^/purge(?<purged>/media/[0-9a-f]{64}/[0-9]+\\.[a-z]+)$" {',
        '    proxy_cache_purge tagify_media "$purged $arg_origin";',
        "}",
        'location ~ "^/purge(?<purged>/media/[0-9a-f]{64}/original)$" {',
        '    proxy_cache_purge tagify_originals "$purged $arg_origin $arg_slice";',
        "}",
    ]
