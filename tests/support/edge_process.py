"""Runs the edge in a separate process, as systemd does."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagify.servers.ports import http_responds
from tests.support.ports import free_ports
from tests.support.waiting import until


@dataclass(frozen=True, slots=True)
class RunningEdge:
    """URL, port and process id."""

    url: str
    port: int
    pid: int


@asynccontextmanager
async def edge_process(values: dict[str, Any], folder: Path) -> AsyncIterator[RunningEdge]:
    """An edge with these settings, terminated with the block; cache and log are in the folder."""
    port = free_ports()
    settings = {"edge_port": port, "edge_cache_dir": folder / "cache", **values}
    env = {f"TAGIFY_{name.upper()}": str(value) for name, value in settings.items()}
    log = folder / "edge.log"
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "edge",
            env={**os.environ, **env, "TAGIFY_LOG_FORMAT": "text"},
            stdout=out,
            stderr=out,
        )
    try:
        url = f"http://127.0.0.1:{port}"

        async def listening() -> bool:
            assert process.returncode is None, log.read_text()
            return await http_responds(f"{url}/livez")

        await until(listening, timeout_s=60)
        yield RunningEdge(url, port, process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
