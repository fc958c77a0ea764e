"""A real nginx with our configuration, in front of services or of stubs that count requests."""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tagify.deploy.nginx import render
from tagify.servers.ports import accepts_connections
from tagify.servers.process import Process, Program
from tagify.settings import NginxSettings
from tests.support.ports import free_ports
from tests.support.servers import skip_or_fail

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NGINX_BINARY = shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")


@dataclass
class NginxSite:
    """A running nginx: a client for it, its ports, and the values of its settings."""

    client: aiohttp.ClientSession
    port: int
    internal_port: int
    folder: Path
    process: Process
    values: dict[str, Any]

    async def restart(self, **values: Any) -> None:
        """Restart nginx with these settings besides its own; its caches on disk stay."""
        await self.process.stop()
        self.process = await _start_nginx(self.folder, self.port, self.values | values)

    async def get(self, path: str, **options: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        async with self.client.get(path, **options) as response:
            return response, await response.read()


class StubService:
    """A service with one handler, which counts requests and the bytes of its responses."""

    def __init__(self, handler: Handler) -> None:
        self.request_counts: Counter[str] = Counter()
        self.request_headers: list[dict[str, str]] = []
        self.bytes_sent = 0
        self._handler = handler
        self._runner: web.AppRunner | None = None

    async def start(self, path: Path) -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._respond)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        path.unlink(missing_ok=True)
        await web.UnixSite(self._runner, str(path)).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        self.request_counts[request.raw_path] += 1
        self.request_headers.append({name.lower(): value for name, value in request.headers.items()})
        response = await self._handler(request)
        if isinstance(response, web.Response) and isinstance(response.body, bytes):
            self.bytes_sent += len(response.body)
        return response


@asynccontextmanager
async def stub_service(handler: Handler, path: Path) -> AsyncIterator[StubService]:
    """A stub service on a Unix socket, stopped at the end of the block."""
    stub = StubService(handler)
    await stub.start(path)
    try:
        yield stub
    finally:
        await stub.stop()


@asynccontextmanager
async def nginx_site(
    folder: Path, *, scheme: str = "http", port: int = 0, **values: Any
) -> AsyncIterator[NginxSite]:
    """nginx with our configuration and these settings, stopped at the end of the block.

    `port`: the first of three free ports; chosen here by default.
    """
    if NGINX_BINARY is None:
        skip_or_fail("nginx", "sudo apt-get install nginx")
    port = port or free_ports()
    defaults: dict[str, Any] = {
        "nginx_listen": (f"127.0.0.1:{port}",),
        "nginx_tls_listen": f"127.0.0.1:{port + 2}",
        "nginx_internal_port": port + 1,
        "nginx_api": (f"unix:{folder}/api.sock",),
        "nginx_edge": (f"unix:{folder}/edge.sock",),
        "nginx_cache_dir": str(folder / "nginx" / "cache"),
        "nginx_access_log": str(folder / "access.log"),
    }
    process = await _start_nginx(folder, port, defaults | values)
    connector = aiohttp.TCPConnector(ssl=False, limit=0)
    base = f"{scheme}://127.0.0.1:{port + 2 if scheme == 'https' else port}"
    client = aiohttp.ClientSession(base, connector=connector, auto_decompress=False)
    site = NginxSite(client, port, port + 1, folder, process, defaults | values)
    try:
        async with client:
            yield site
    finally:
        await site.process.stop()
        # The event loop closes disconnected server sockets in its next iterations.
        await asyncio.sleep(0)


async def _start_nginx(folder: Path, port: int, values: dict[str, Any]) -> Process:
    config = render(folder / "nginx", NginxSettings(**values), standalone=True)
    program = Program(
        name="nginx",
        argv=(str(NGINX_BINARY), "-c", str(config), "-p", str(config.parent), "-e", "stderr"),
        log=folder / "nginx.log",
        ready=lambda: accepts_connections(port),
    )
    return await Process.start(program)
