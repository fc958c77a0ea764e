"""Ten thousand clients that only occupy connections; other clients are still served."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tagify.catalog import Catalog
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support.edge_process import RunningEdge, edge_process
from tests.support.originals import ListedOriginal, list_original
from tests.support.waiting import until

# One S3 server is enough: these tests do not depend on it.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("s3", ["minio"], indirect=True)]

CLIENTS = 10_000
MAX_CONNECTIONS = 1000
READERS = 300


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CLIENTS + 1000:
        pytest.skip(f"the limit of open files is {hard}: ulimit -Hn {CLIENTS + 1000}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CLIENTS + 1000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def running(mongo_values: Values, s3_values: Values, tmp_path: Path) -> AsyncIterator[RunningEdge]:
    values = {**mongo_values, **s3_values, "max_connections": MAX_CONNECTIONS}
    async with edge_process(values, tmp_path) as edge:
        yield edge


@pytest.fixture
async def image(catalog: Catalog, blobs: ObjectStore) -> ListedOriginal:
    return await list_original(catalog, blobs, 12_000_000)


async def connected(running: RunningEdge, request: bytes) -> socket.socket:
    """A client with a small receive buffer that has sent these bytes."""
    loop, client = asyncio.get_running_loop(), socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", running.port))
    with contextlib.suppress(ConnectionError):  # the edge may have closed it already
        await loop.sock_sendall(client, request)
    return client


async def metrics(running: RunningEdge) -> str:
    async with aiohttp.ClientSession(running.url) as session, session.get("/metrics") as response:
        return await response.text()


def value(page: str, name: str) -> float:
    return next(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name))


@contextlib.contextmanager
def closing(clients: list[socket.socket]) -> Iterator[None]:
    try:
        yield
    finally:
        for client in clients:
            client.close()


async def count_served(running: RunningEdge, image: ListedOriginal, stop: asyncio.Event) -> int:
    """Requests of a well-behaved client that succeeded, each on a new connection, until the event is set."""
    times = 0
    while not stop.is_set() or times < 5:
        async with (
            aiohttp.ClientSession(running.url, timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(image.by_content, headers={"Range": "bytes=0-99"}) as response,
        ):
            assert await response.read() == image.data[:100]
            times += 1
    return times


async def test_unfinished_request_heads_do_not_block_other_clients(
    running: RunningEdge, image: ListedOriginal
) -> None:
    stop = asyncio.Event()
    clients: list[socket.socket] = []
    well_behaved = asyncio.ensure_future(count_served(running, image, stop))
    with closing(clients):
        for _ in range(CLIENTS // 100):
            clients += await asyncio.gather(
                *(connected(running, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ") for _ in range(100))
            )
        page = await metrics(running)
        assert value(page, "http_connections ") <= MAX_CONNECTIONS
        assert (
            value(page, 'http_connections_ended_total{reason="crowded"}') >= CLIENTS - MAX_CONNECTIONS - 100
        )
        stop.set()
        assert await well_behaved >= 5

        async def closed() -> bool:
            return value(await metrics(running), "http_connections ") < 20

        await until(closed, timeout_s=60)
        assert 'http_connections_ended_total{reason="idle"}' in await metrics(running)


async def test_unread_responses_do_not_block_other_clients(
    running: RunningEdge, image: ListedOriginal
) -> None:
    request = f"GET {image.by_content} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    clients: list[socket.socket] = []
    with closing(clients):
        for _ in range(READERS // 50):
            clients += await asyncio.gather(*(connected(running, request) for _ in range(50)))
        stop = asyncio.Event()
        stop.set()
        assert await count_served(running, image, stop) >= 5
        await until(lambda: is_idle(running), timeout_s=60)


async def is_idle(running: RunningEdge) -> bool:
    return value(await metrics(running), "edge_transfers ") == 0
