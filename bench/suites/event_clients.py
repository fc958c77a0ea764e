"""Cost of a client of the event stream: `python -m bench.suites.event_clients`.

5,000 idle clients hold `GET /api/events` of one api process open. Measures the memory of the process per
client, compared with a minimal aiohttp handler that holds as many connections open, and the time from a write
to the catalog until all clients have received the event.
"""

import asyncio
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from bench.lib.results import Results, recorded
from tagify.catalog import Catalog, UpsertImage
from tagify.model import Content, FileFacts, Library, Picture
from tagify.runtime.connections import connection_limit
from tagify.servers.ports import find_free_port
from tagify.settings import CommonSettings
from tests.support.servers import Servers
from tests.support.waiting import until

CLIENTS = 5_000
CONCURRENT = 100
WRITES = 5
REQUEST = b"GET /api/events HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n"


async def alive(_: web.Request) -> web.StreamResponse:
    """Answers when the peer has started."""
    return web.Response(text="alive")


async def hold(request: web.Request) -> web.StreamResponse:
    """Begin an event stream and never send an event."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"retry: 2000\n\n")
    await asyncio.Event().wait()
    return response


def peer(port: int) -> None:
    connection_limit(2 * CLIENTS)
    app = web.Application()
    app.add_routes([web.get("/api/events", hold), web.get("/livez", alive)])
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


@asynccontextmanager
async def process(port: int, *command: str, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable, *command, env={**os.environ, **variables}, stderr=asyncio.subprocess.DEVNULL
    )

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(listens)
        yield started
    finally:
        started.terminate()
        await started.wait()


def resident_kb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


async def connect(port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    client = socket.socket()
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", port))
    await loop.sock_sendall(client, REQUEST)
    received = b""
    while b"retry:" not in received:
        if not (more := await loop.sock_recv(client, 4096)):
            raise ConnectionError(f"the service ended the stream before its first line: {received!r}")
        received += more
    return client


async def connect_clients(port: int, number: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    while len(sockets) < number:
        sockets += await asyncio.gather(
            *(connect(port) for _ in range(min(CONCURRENT, number - len(sockets))))
        )
    return sockets


async def memory(pid: int, port: int) -> tuple[float, list[socket.socket]]:
    """Resident memory per client in kB, and the clients."""
    first = await connect_clients(port, CONCURRENT)
    before = resident_kb(pid)
    rest = await connect_clients(port, CLIENTS)
    await asyncio.sleep(1)
    return (resident_kb(pid) - before) / CLIENTS, first + rest


async def received_event(client: socket.socket) -> None:
    received = b""
    while b"image.added" not in received:
        if not (more := await asyncio.get_running_loop().sock_recv(client, 65536)):
            raise ConnectionError("the service ended the stream")
        received = received[-20:] + more


async def fan_out(catalog: Catalog, library: Library, listeners: list[socket.socket], number: int) -> float:
    """Seconds from a write until all clients have received the event."""
    waits = [asyncio.create_task(received_event(client)) for client in listeners]
    await asyncio.sleep(0.5)
    start = time.perf_counter()
    content = Content(f"{number + 1:064x}")
    file = FileFacts(f"{number}.jpg", 1, number, number + 1)
    await catalog.images.write(
        [UpsertImage(library.id, file, content, Picture("image/jpeg", 600, 400, b"\1"))]
    )
    await asyncio.gather(*waits)
    return time.perf_counter() - start


async def main() -> None:
    connection_limit(2 * CLIENTS)
    port = find_free_port(start=29_000)
    async with process(port, "-m", "bench.suites.event_clients", str(port)) as bare_process:
        bare_kb, sockets = await memory(bare_process.pid, port)
        for client in sockets:
            client.close()
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(Path(folder))
        try:
            with recorded("event_clients") as results:
                await measure_api(servers.mongo_uri(), bare_kb, results)
        finally:
            servers.close()


async def measure_api(uri: str, bare_kb: float, results: Results) -> None:
    port = find_free_port(start=29_000)
    variables = {"TAGIFY_MONGO_URI": uri, "TAGIFY_API_PORT": str(port)}
    async with process(port, "-m", "api", **variables) as api:
        api_kb, listeners = await memory(api.pid, port)
        print(
            f"memory per client, {CLIENTS} idle clients: api {api_kb:.1f} kB; bare handler {bare_kb:.1f} kB"
        )
        catalog = Catalog(CommonSettings(mongo_uri=uri))
        library = await catalog.libraries.create("Bench", "/srv/bench")
        times = [await fan_out(catalog, library, listeners, number) for number in range(WRITES)]
        await catalog.close()
        fan_out_s, api_mb = statistics.median(times), resident_kb(api.pid) / 1024
        results.figures("5,000 clients", api_kb=api_kb, bare_kb=bare_kb, fan_out_s=fan_out_s, api_mb=api_mb)
        results.ratios("5,000 clients", api_to_bare_memory=api_kb / bare_kb)
        print(f"from a write until all clients have the event: median {fan_out_s:.2f} s")
        print(f"memory of the api process: {api_mb:.0f} MB")
        for client in listeners:
            client.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        peer(int(sys.argv[1]))
    else:
        asyncio.run(main())
