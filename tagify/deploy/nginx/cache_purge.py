"""What NGINX's purge module is told, where it is installed (Debian: libnginx-mod-http-cache-purge)."""

from pathlib import Path

MODULE = Path("/usr/lib/nginx/modules/ngx_http_cache_purge_module.so")


SLICE_BYTES = 1 << 20
"""Length of the slices in which originals are kept, in bytes."""

NORMALIZED_ACCEPTS = ("", "image/webp", "image/avif,image/webp")
"""What NGINX tells the edge that a client takes, and keeps thumbs by id under: see cache.conf."""


def load_module_directive() -> str:
    """The line that loads it into a whole nginx; Debian's own configuration has one already."""
    return f"load_module {MODULE};" if MODULE.exists() else ""


def purge_locations() -> list[str]:
    """`/purge/media/...?origin=` takes one answer out of the cache, by its exact key; `/purge` is 204.

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
