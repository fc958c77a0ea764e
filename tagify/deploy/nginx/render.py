"""Render NGINX's configuration: the templates in `conf/` with the values of this host."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from tagify.deploy.nginx.cache_purge import SLICE_BYTES, load_module_directive
from tagify.deploy.nginx.directives import (
    host_name_patterns,
    https_redirect_server,
    internal_server,
    listen_directive,
    proxy_networks,
    real_ip_directives,
    tls_directives,
    upstream_servers,
)
from tagify.deploy.nginx.x_accel import sendfile_type, variant_cache_zone, x_accel_locations
from tagify.settings import NginxSettings
from tagify.web.accept import accepts_pattern
from tagify.web.resource_policy import resource_policy

TEMPLATES = Path(__file__).parent / "conf"
MAIN_CONF = "nginx.conf"
"""The main file of a standalone nginx; on a host Debian's nginx.conf includes the site."""

FILES = tuple(sorted(path.name for path in TEMPLATES.glob("*.conf") if path.name != MAIN_CONF))

_VALUE = re.compile(r"@\{(\w+)\}")

MIN_RESPONSE_BYTES = 16 << 10
KEYS_PER_MB = 8000
"""Cache keys per MB of a shared memory zone (NGINX's documentation)."""

MAX_ZONE_MB = 512
"""Keys of four million responses; beyond, NGINX evicts the least recently used."""

BURST_S = 2
"""Burst of a client, as seconds of its rate: a page sends several requests at once."""


def render(folder: Path, settings: NginxSettings, *, standalone: bool = False) -> Path:
    """Write the files into a folder; returns the main one. `standalone`: with an nginx.conf."""
    folder.mkdir(parents=True, exist_ok=True)
    if standalone:
        for subfolder in ("cache", "temp"):
            (folder / subfolder).mkdir(exist_ok=True, mode=0o700)
    for name, text in render_files(folder, settings, standalone=standalone).items():
        (folder / name).write_text(text)
    return folder / (MAIN_CONF if standalone else "tagify.conf")


def render_files(folder: Path, settings: NginxSettings, *, standalone: bool = False) -> Mapping[str, str]:
    """Return the text of each file, by file name, for this folder."""
    values = _values(folder, settings)
    names = (*FILES, MAIN_CONF) if standalone else FILES
    return {name: substitute((TEMPLATES / name).read_text(), values) for name in names}


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Substitute `@{name}` in a template; `$name` is a variable of NGINX."""
    return _VALUE.sub(lambda match: values[match[1]], text)


def _values(folder: Path, settings: NginxSettings) -> dict[str, str]:
    origins = [origin for origin in settings.cors_origins if origin != "*"]
    return {
        "folder": str(folder),
        # Started by root, nginx would run its workers as a user without access to the folder.
        "user": "user root;" if os.geteuid() == 0 else "",
        "modules": load_module_directive(),
        "listen": listen_directive(settings),
        "server_name": settings.nginx_server_name,
        "redirect": https_redirect_server(settings),
        "host_names": host_name_patterns(settings),
        "proxies": proxy_networks(settings),
        "avif_pattern": accepts_pattern("image/avif"),
        "webp_pattern": accepts_pattern("image/webp"),
        "tls": tls_directives(settings),
        "real_ip": real_ip_directives(settings),
        "internal": internal_server(settings),
        "api_servers": upstream_servers(settings.nginx_api),
        "edge_servers": upstream_servers(settings.nginx_edge),
        "x_accel": x_accel_locations(folder, settings),
        "sendfile_type": sendfile_type(settings),
        "variant_cache_zone": variant_cache_zone(settings),
        "other_origin": "*" if "*" in settings.cors_origins else "",
        "resource_policy": resource_policy(
            settings.cors_origins, settings.media_base_url, settings.media_port
        ),
        "origins": "\n    ".join(f'"{origin}" "{origin}";' for origin in origins),
        "cache_dir": settings.nginx_cache_dir,
        "cache_bytes": str(settings.nginx_cache_bytes),
        "original_cache_bytes": str(settings.nginx_original_cache_bytes),
        "media_zone_mb": _zone_mb(settings.nginx_cache_bytes, MIN_RESPONSE_BYTES),
        "originals_zone_mb": _zone_mb(settings.nginx_original_cache_bytes, SLICE_BYTES),
        "slice": str(SLICE_BYTES),
        "requests_per_s": str(settings.nginx_requests_per_s),
        "burst": str(settings.nginx_requests_per_s * BURST_S),
        "streams_per_client": str(settings.nginx_streams_per_client),
        "access_log": _access_log(settings.nginx_access_log),
    }


def _access_log(path: str) -> str:
    return f'"{path}" tagify buffer=32k flush=1s' if path else "off"


def _zone_mb(cache_bytes: int, response_bytes: int) -> str:
    """Return the zone size for the keys of a full cache, from 1 to MAX_ZONE_MB."""
    return str(min(max(1, cache_bytes // response_bytes // KEYS_PER_MB), MAX_ZONE_MB))
