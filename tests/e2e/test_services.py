"""The services as processes: error messages of failed starts, and exit statuses."""

import asyncio
import os
import signal
import sys

import pytest

from tagify.servers.ports import http_responds
from tests.support.ports import free_ports
from tests.support.waiting import until


async def start_service(name: str, **values: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, **{f"TAGIFY_{key.upper()}": value for key, value in values.items()}}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        name,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


MONGODB_DOWN = {
    "mongo_uri": "mongodb://127.0.0.1:1/?directConnection=true",
    "mongo_timeout_s": "0.3",
    "log_format": "text",
}


@pytest.mark.parametrize("name", ["ingest", "api", "edge"])
async def test_a_port_in_use_gives_a_one_line_error_and_status_1(name: str) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        process = await start_service(
            name, **MONGODB_DOWN, **{f"{name}_port": str(port), "edge_cache_dir": "/proc/none"}
        )
        out, _ = await asyncio.wait_for(process.communicate(), 20)
    finally:
        server.close()
        await server.wait_closed()
    assert process.returncode == 1
    assert f"port {port} of 127.0.0.1 is in use by another process" in out.decode()
    assert "Traceback" not in out.decode()


async def test_a_misspelt_setting_gives_a_one_line_error_and_status_2() -> None:
    process = await start_service("edge", mongo_uir="x")
    out, _ = await process.communicate()
    assert process.returncode == 2
    assert out.decode().strip() == "edge: TAGIFY_MONGO_UIR: unknown setting; did you mean TAGIFY_MONGO_URI?"


@pytest.mark.parametrize("name", ["ingest", "api"])
async def test_a_service_starts_without_its_servers_and_stops_on_sigterm(name: str) -> None:
    port = free_ports()
    process = await start_service(
        name, **MONGODB_DOWN, s3_endpoint="http://127.0.0.1:1", **{f"{name}_port": str(port)}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        assert await until(lambda: http_responds(f"{url}/livez"))
        assert not await http_responds(f"{url}/readyz")
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, out.decode()
    assert "Traceback" not in out.decode()
