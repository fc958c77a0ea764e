"""Ten thousand clients that only hold a place, and others who are served all the while."""

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

# One store is enough: what is tested here comes before it.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("s3", ["minio"], indirect=True)]

CLIENTS = 10_000
PLACES = 1000
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
    values = {**mongo_values, **s3_values, "max_connections": PLACES}
    async with edge_process(values, tmp_path) as made:
        yield made


@pytest.fixture
async def image(catalog: Catalog, blobs: ObjectStore) -> ListedOriginal:
    return await list_original(catalog, blobs, 12_000_000)


async def connected(running: RunningEdge, request: bytes) -> socket.socket:
    """A client with little room to read into that has sent this."""
    loop, made = asyncio.get_running_loop(), socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.setblocking(False)
    await loop.sock_connect(made, ("127.0.0.1", running.port))
    with contextlib.suppress(ConnectionError):  # it may have been ended already
        await loop.sock_sendall(made, request)
    return made


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


async def served(running: RunningEdge, image: ListedOriginal, enough: asyncio.Event) -> int:
    """How often a client of good manners was served, each time over a connection of its own."""
    times = 0
    while not enough.is_set() or times < 5:
        async with (
            aiohttp.ClientSession(running.url, timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(image.by_content, headers={"Range": "bytes=0-99"}) as response,
        ):
            assert await response.read() == image.data[:100]
            times += 1
    return times


async def test_heads_that_never_end_keep_nobody_out(running: RunningEdge, image: ListedOriginal) -> None:
    enough = asyncio.Event()
    clients: list[socket.socket] = []
    others = asyncio.ensure_future(served(running, image, enough))
    with closing(clients):
        for _ in range(CLIENTS // 100):
            clients += await asyncio.gather(
                *(connected(running, b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ") for _ in range(100))
            )
        page = await metrics(running)
        assert value(page, "http_connections ") <= PLACES
        assert value(page, 'http_connections_ended_total{reason="crowded"}') >= CLIENTS - PLACES - 100
        enough.set()
        assert await others >= 5

        async def left() -> bool:
            return value(await metrics(running), "http_connections ") < 20

        await until(left, timeout_s=60)
        assert 'http_connections_ended_total{reason="idle"}' in await metrics(running)


async def test_answers_that_are_never_read_keep_nobody_out(
    running: RunningEdge, image: ListedOriginal
) -> None:
    request = f"GET {image.by_content} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    clients: list[socket.socket] = []
    with closing(clients):
        for _ in range(READERS // 50):
            clients += await asyncio.gather(*(connected(running, request) for _ in range(50)))
        enough = asyncio.Event()
        enough.set()
        assert await served(running, image, enough) >= 5
        await until(lambda: at_rest(running), timeout_s=60)


async def at_rest(running: RunningEdge) -> bool:
    return value(await metrics(running), "edge_transfers ") == 0
