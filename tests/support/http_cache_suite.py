"""Runs the npm package `http-cache-tests` against an nginx with our cache and a stock cache."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tagify.deploy.nginx import render
from tagify.servers.ports import accepts_connections
from tagify.servers.process import Process, Program
from tagify.settings import NginxSettings
from tests.support.nginx_site import NGINX_BINARY
from tests.support.ports import free_ports
from tests.support.servers import skip_or_fail

PACKAGE = "http-cache-tests@0.4.5"
TOOLS = Path(__file__).parents[2] / ".tools"

SERVERS = """
proxy_cache_path "{folder}/stock" levels=1:2 keys_zone=stock:8m max_size=1g inactive=600m;
server {{
    listen 127.0.0.1:{ours};
    include "{folder}/security.conf";
    include "{folder}/proxy.conf";
    location / {{
        include "{folder}/media.conf";
        proxy_cache tagify_media;
        proxy_cache_key "$uri$is_args$args $tagify_origin";
        proxy_pass http://tagify_edge;
    }}
}}
server {{
    listen 127.0.0.1:{stock};
    proxy_cache_lock off;
    proxy_cache_use_stale off;
    proxy_cache_background_update off;
    location / {{
        proxy_cache stock;
        proxy_cache_revalidate on;
        proxy_pass http://127.0.0.1:{origin};
    }}
}}
"""


def install_suite() -> Path:
    """Return the suite's folder; installs it if needed."""
    npm = shutil.which("npm") or skip_or_fail("npm", "sudo apt-get install npm")
    folder = TOOLS / "http-cache-tests"
    package = folder / "node_modules" / "http-cache-tests"
    if not package.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE],
            check=True, timeout=300,
        )  # fmt: skip
    return package


@asynccontextmanager
async def running_caches(folder: Path) -> AsyncIterator[tuple[int, int, int]]:
    """Run nginx and the suite's server; yields the ports of our cache, the stock cache and the server."""
    package, first = install_suite(), free_ports()
    ours, stock, origin = first + 1, first + 2, first + 3
    settings = NginxSettings(
        nginx_listen=(f"127.0.0.1:{first}",), nginx_api=(f"127.0.0.1:{origin}",), nginx_edge=(f"127.0.0.1:{origin}",),
        nginx_ingest="", nginx_internal_port=0, nginx_access_log="", nginx_cache_dir=str(folder / "cache"),
    )  # fmt: skip
    config = render(folder, settings, standalone=True)
    text = config.read_text().rstrip()
    servers = SERVERS.format(folder=folder, ours=ours, stock=stock, origin=origin)
    config.write_text(text.removesuffix("}") + servers + "}\n")
    server = Program(
        name="the suite's server",
        argv=(
            shutil.which("node") or skip_or_fail("node", "sudo apt-get install nodejs"),
            "server/server.mjs",
        ),
        cwd=package,
        env=_environment(origin, folder),
        log=folder / "server.log",
        ready=lambda: accepts_connections(origin),
    )
    front = Program(
        name="nginx",
        argv=(NGINX_BINARY or skip_or_fail("nginx", "sudo apt-get install nginx"), "-c", str(config), "-p", str(folder), "-e", "stderr"),
        log=folder / "nginx.log",
        ready=lambda: accepts_connections(stock),
    )  # fmt: skip
    processes = [await Process.start(server)]
    try:
        processes.append(await Process.start(front))
        yield ours, stock, origin
    finally:
        await asyncio.gather(*(process.stop() for process in processes))


async def passed_tests(port: int, origin: int, folder: Path) -> set[str]:
    """Run the suite against the cache on this port; returns the ids of passed tests."""
    environment = _environment(origin, folder) | {"npm_config_base": f"http://127.0.0.1:{port}"}
    process = await asyncio.create_subprocess_exec(
        "node", "--no-warnings", "cli.mjs", cwd=install_suite(), env={**os.environ, **environment},
        stdout=subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 200)
    return {name for name, outcome in json.loads(out).items() if outcome is True}


def _environment(origin: int, folder: Path) -> dict[str, str]:
    """The environment that npm would set for the suite's scripts."""
    return {
        "npm_config_protocol": "http",
        "npm_config_port": str(origin),
        "npm_config_pidfile": str(folder / "suite.pid"),
        "npm_package_config_id": "",
        "npm_package_config_base": "",
    }
