"""Writes NGINX's configuration: the files of `conf/`, with the values of this host in them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from tagify.deploy.nginx.cache_purge import SLICE, load_module
from tagify.deploy.nginx.directives import internal, listen, real_ip, redirect, servers, tls
from tagify.deploy.nginx.x_accel import handover, sendfile_type, variant_zone
from tagify.settings import NginxSettings

TEMPLATES = Path(__file__).parent / "conf"
WHOLE = "nginx.conf"
"""The file that makes a whole nginx of the others; a host has one of its own."""

FILES = tuple(sorted(path.name for path in TEMPLATES.glob("*.conf") if path.name != WHOLE))

_VALUE = re.compile(r"@\{(\w+)\}")

SMALLEST_ANSWER = 16 << 10
KEYS_PER_MB = 8000
"""Of a zone of NGINX's shared memory."""

LARGEST_ZONE_MB = 512
"""Keys of four million answers; beyond, those that were not asked for longest go."""

BURST_S = 2
"""What a client has saved up when it comes: a page asks for several things at once."""


def render(folder: Path, settings: NginxSettings, *, whole: bool = False) -> Path:
    """Write the files into a folder; the path of the first. `whole`: one that nginx runs with alone."""
    folder.mkdir(parents=True, exist_ok=True)
    if whole:
        for place in ("cache", "temp"):
            (folder / place).mkdir(exist_ok=True, mode=0o700)
    for name, text in rendered(folder, settings, whole=whole).items():
        (folder / name).write_text(text)
    return folder / (WHOLE if whole else "tagify.conf")


def rendered(folder: Path, settings: NginxSettings, *, whole: bool = False) -> Mapping[str, str]:
    """The text of each file by its name, as it will lie in this folder."""
    values = _values(folder, settings)
    names = (*FILES, WHOLE) if whole else FILES
    return {name: filled((TEMPLATES / name).read_text(), values) for name in names}


def filled(text: str, values: Mapping[str, str]) -> str:
    """A template with its values. NGINX has variables of its own under $: ours are written @{name}."""
    return _VALUE.sub(lambda found: values[found[1]], text)


def _values(folder: Path, settings: NginxSettings) -> dict[str, str]:
    origins = [origin for origin in settings.cors_origins if origin != "*"]
    return {
        "folder": str(folder),
        # Started by root, nginx would give its workers to a user who may not enter the folder.
        "user": "user root;" if os.geteuid() == 0 else "",
        "modules": load_module(),
        "listen": listen(settings),
        "server_name": settings.nginx_server_name,
        "redirect": redirect(settings),
        "tls": tls(settings),
        "real_ip": real_ip(settings),
        "internal": internal(settings),
        "api_servers": servers(settings.nginx_api),
        "edge_servers": servers(settings.nginx_edge),
        "handover": handover(folder, settings),
        "sendfile_type": sendfile_type(settings),
        "variant_zone": variant_zone(settings),
        "other_origin": "*" if "*" in settings.cors_origins else "",
        "origins": "\n    ".join(f'"{origin}" "{origin}";' for origin in origins),
        "cache_dir": settings.nginx_cache_dir,
        "cache_bytes": str(settings.nginx_cache_bytes),
        "original_cache_bytes": str(settings.nginx_original_cache_bytes),
        "media_zone_mb": _zone_mb(settings.nginx_cache_bytes, SMALLEST_ANSWER),
        "originals_zone_mb": _zone_mb(settings.nginx_original_cache_bytes, SLICE),
        "slice": str(SLICE),
        "requests_per_s": str(settings.nginx_requests_per_s),
        "burst": str(settings.nginx_requests_per_s * BURST_S),
        "streams_per_client": str(settings.nginx_streams_per_client),
        "access_log": _access_log(settings.nginx_access_log),
    }


def _access_log(place: str) -> str:
    return f'"{place}" tagify buffer=32k flush=1s' if place else "off"


def _zone_mb(cache_bytes: int, answer_bytes: int) -> str:
    """Shared memory for the keys of as many answers as the cache holds, within reason."""
    return str(min(max(1, cache_bytes // answer_bytes // KEYS_PER_MB), LARGEST_ZONE_MB))
