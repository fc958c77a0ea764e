"""NGINX as reverse proxy of the local services: one origin for page, API and media."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tagify.deploy.nginx import render
from tagify.servers.ports import http_responds
from tagify.servers.process import Program
from tagify.settings import NginxSettings


def find_nginx() -> Path | None:
    """Return the nginx binary; None if it is not installed."""
    binary = shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")
    return Path(binary) if binary else None


def write_config(
    folder: Path,
    *,
    hosts: Sequence[str],
    site_hosts: Sequence[str],
    port: int,
    internal_port: int,
    api_port: int,
    edge_port: int,
    edge_cache: Path,
) -> Path:
    """Write a standalone configuration for these ports into a folder; returns its main file.

    `hosts`: the addresses it listens on. `site_hosts`: the names of the site. `internal_port`: loopback
    port of the internal server, through which the edge purges caches.
    """
    settings = NginxSettings(
        hosts=tuple(site_hosts),
        nginx_listen=tuple(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts),
        nginx_api=(f"127.0.0.1:{api_port}",),
        nginx_edge=(f"127.0.0.1:{edge_port}",),
        nginx_cache_dir=str(folder / "cache"),
        nginx_cache_bytes=1 << 30,
        nginx_original_cache_bytes=1 << 30,
        nginx_ingest="",
        nginx_internal_port=internal_port,
        nginx_access_log="",
        edge_cache_dir=edge_cache,
    )
    return render(folder, settings, standalone=True)


def nginx_program(binary: Path, config: Path, url: str, log: Path) -> Program:
    """Return nginx's program for this configuration, ready when the API answers through it."""

    async def ready() -> bool:
        return await http_responds(f"{url}/api/health")

    return Program(
        name="nginx",
        argv=(str(binary), "-c", str(config), "-p", str(config.parent), "-e", "stderr"),
        log=log,
        ready=ready,
    )
