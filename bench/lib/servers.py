"""Servers of the API benchmarks: a mongod with a million images, two api processes and the baseline."""

import asyncio
import dataclasses
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from bench.lib import million_images
from tagify.catalog import Catalog
from tagify.servers import discovery
from tagify.servers.mongod import mongo_server
from tagify.servers.ports import accepts_connections, find_free_port
from tagify.servers.process import Process, Program
from tagify.settings import CommonSettings

CACHE_GB = "2"
"""Size of mongod's cache: holds all images and indexes, so that neither side waits for the disk."""

DATABASE = "million"


@asynccontextmanager
async def mongod(folder: Path, images: int) -> AsyncIterator[tuple[str, Process]]:
    """URI and process of a mongod with so many images; they are inserted if the folder has none yet."""
    server = mongo_server(discovery.find_mongod(), folder / "mongo", find_free_port(), folder / "mongod.log")
    argv = list(server.program.argv)
    argv[argv.index("--wiredTigerCacheSizeGB") + 1] = CACHE_GB
    process = await Process.start(dataclasses.replace(server.program, argv=tuple(argv)))
    try:
        await asyncio.to_thread(million_images.ensure, server.uri, DATABASE, images)
        async with open_catalog(server.uri) as catalog:
            await catalog.ensure_indexes()
        yield server.uri, process
    finally:
        await process.stop()


@asynccontextmanager
async def open_catalog(uri: str) -> AsyncIterator[Catalog]:
    """The catalog of the bench's database, closed with the block."""
    catalog = Catalog(CommonSettings(mongo_uri=SecretStr(uri), mongo_database=DATABASE))
    yield catalog
    await catalog.close()


@asynccontextmanager
async def api_processes(folder: Path, uri: str) -> AsyncIterator[dict[str, Process]]:
    """Two api processes and one of the baseline; `program.name` of each is its base URL."""
    async with AsyncExitStack() as stack:
        processes = {}
        for name in ("ours", "second", "baseline"):
            port = find_free_port()
            process = await Process.start(_program(name, port, uri, folder / f"{name}.log"))
            stack.push_async_callback(process.stop)
            processes[name] = process
        yield processes


def _program(name: str, port: int, uri: str, log: Path) -> Program:
    async def ready() -> bool:
        return await accepts_connections(port)

    ours = {
        "TAGIFY_MONGO_URI": uri,
        "TAGIFY_MONGO_DATABASE": DATABASE,
        "TAGIFY_API_PORT": str(port),
        "TAGIFY_API_RATE": "0",
        "TAGIFY_LOG_LEVEL": "error",
    }
    baseline = {"MONGO_URI": uri, "MONGO_DATABASE": DATABASE}
    uvicorn = ("uvicorn", "bench.peers.fastapi_baseline:app", "--port", str(port), "--log-level", "error")
    return Program(
        name=f"http://127.0.0.1:{port}",
        argv=(sys.executable, "-m", *(uvicorn if name == "baseline" else ("api",))),
        log=log,
        ready=ready,
        env=baseline if name == "baseline" else ours,
    )
