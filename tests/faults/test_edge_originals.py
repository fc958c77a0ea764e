"""Originals with faulty servers and clients: a clear error or an aborted transfer, never a hang."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import aiohttp
import pytest

from edge.app_keys import UPSTREAM
from edge.originals import streaming
from edge.originals.upstream import MAX_TRANSFERS
from tagify.catalog import Catalog
from tagify.concurrency.circuit_breaker import FAILURE_THRESHOLD
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support.chaos_proxy import ChaosProxy, chaos_proxy
from tests.support.originals import Client, ListedOriginal, list_original, running_edge
from tests.support.waiting import until

# One S3 server is enough: these tests do not depend on it.
# pymongo leaves a connection that it failed to open to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.parametrize("s3", ["minio"], indirect=True),
]

LENGTH = 3_000_000
STORM = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def store(s3_values: Values) -> AsyncIterator[ChaosProxy]:
    """Proxy in front of the S3 server."""
    async with chaos_proxy(s3_values["s3_endpoint"]) as proxy:
        yield proxy


@pytest.fixture
async def database(mongo_values: Values) -> AsyncIterator[ChaosProxy]:
    """Proxy in front of MongoDB."""
    address = urlsplit(mongo_values["mongo_uri"])
    async with chaos_proxy(f"http://{address.hostname}:{address.port}") as proxy:
        yield proxy


@pytest.fixture
def edge_settings(
    mongo_values: Values, s3_values: Values, store: ChaosProxy, database: ChaosProxy, tmp_path: Path
) -> EdgeSettings:
    host = urlsplit(mongo_values["mongo_uri"])
    uri = mongo_values["mongo_uri"].replace(f":{host.port}", f":{database.port}")
    return EdgeSettings(
        **{**mongo_values, "mongo_uri": uri, "mongo_timeout_s": 2},
        **{**s3_values, "s3_endpoint": store.endpoint, "s3_timeout_s": 1},
        edge_cache_dir=tmp_path / "cache",
    )


@pytest.fixture
async def client(edge_settings: EdgeSettings) -> AsyncIterator[Client]:
    async with running_edge(edge_settings) as made:
        yield made


@pytest.fixture
async def image(catalog: Catalog, blobs: ObjectStore) -> ListedOriginal:
    return await list_original(catalog, blobs, LENGTH)


async def status(client: Client, path: str, method: str = "GET") -> int:
    async with client.request(method, path) as response:
        await response.read()
        if response.status == 503:
            assert int(response.headers["Retry-After"]) >= 1
            assert response.headers["Content-Type"] == "application/problem+json"
        return response.status


async def metric(client: Client, line: str) -> bool:
    async with client.get("/metrics") as response:
        return line in (await response.text()).splitlines()


async def wait_until_idle(client: Client) -> None:
    """Wait until no transfer is in progress; then all permits are free."""
    await until(lambda: metric(client, "edge_transfers 0"))
    assert client.app is not None
    assert client.app[UPSTREAM]._connections._semaphore._value == MAX_TRANSFERS


@pytest.mark.parametrize("fault", ["blackhole", "refuse", "storm"])
async def test_failing_store_opens_the_circuit_until_it_recovers(
    client: Client, image: ListedOriginal, store: ChaosProxy, fault: str
) -> None:
    if fault == "storm":
        store.canned_response = STORM
    else:
        setattr(store, fault, True)
    for method in ("HEAD", "GET"):
        assert await status(client, image.by_content, method) == 503
    assert set(await asyncio.gather(*(status(client, image.by_id) for _ in range(FAILURE_THRESHOLD)))) == {
        503
    }
    assert await metric(client, 'edge_circuit_open{server="S3"} 1')
    accepted_before, loop = store.accepted_count, asyncio.get_running_loop()
    start = loop.time()
    assert set(await asyncio.gather(*(status(client, image.by_content) for _ in range(20)))) == {503}
    assert loop.time() - start < 1 or store.accepted_count > accepted_before
    assert store.accepted_count - accepted_before <= 2  # a probe or two, not twenty
    store.clear_faults()

    async def recovered() -> bool:
        return await status(client, image.by_content) == 200

    await until(recovered)
    assert await metric(client, 'edge_circuit_open{server="S3"} 0')
    await wait_until_idle(client)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("range_header", ["", "bytes=10-", "bytes=0-99,500-"])
async def test_store_that_closes_in_mid_body_aborts_the_response(
    client: Client, image: ListedOriginal, store: ChaosProxy, reset: bool, range_header: str
) -> None:
    store.cut_after, store.reset = LENGTH // 2, reset
    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
        async with client.get(
            image.by_content, headers={"Range": range_header} if range_header else {}
        ) as response:
            assert response.status in (200, 206)
            await response.read()
    store.clear_faults()
    async with client.get(image.by_content) as response:
        assert await response.read() == image.data
    await wait_until_idle(client)


async def test_first_byte_is_awaited_up_to_the_timeout(
    client: Client, image: ListedOriginal, store: ChaosProxy
) -> None:
    store.latency_s = 0.4
    assert await status(client, image.by_content) == 200
    store.latency_s = 30
    assert await status(client, image.by_content) == 503
    await wait_until_idle(client)


async def test_store_that_stalls_in_mid_body_aborts_the_response(
    client: Client, image: ListedOriginal, store: ChaosProxy
) -> None:
    store.rate = 2_000_000
    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
        async with client.get(image.by_content) as response:
            await response.content.readexactly(100_000)
            store.blackhole = True
            await response.read()
    await wait_until_idle(client)


@pytest.mark.parametrize("catalog_length", [LENGTH - 1, LENGTH + 1])
async def test_object_of_wrong_length_is_not_served(
    client: Client, catalog: Catalog, blobs: ObjectStore, catalog_length: int
) -> None:
    image = await list_original(catalog, blobs, LENGTH, catalog_length=catalog_length)
    assert await status(client, image.by_content) == 503
    async with client.get(image.by_content, headers={"Range": "bytes=-5"}) as response:
        assert response.status == 503


async def test_missing_object_is_404(client: Client, image: ListedOriginal, blobs: ObjectStore) -> None:
    assert await status(client, image.by_content) == 200
    for listing in await blobs.list_objects("originals", "", 10):  # type: ignore[arg-type]
        await blobs.delete_key("originals", listing.key)  # type: ignore[arg-type]
    for method in ("GET", "HEAD"):
        assert await status(client, image.by_content, method) == 404


@pytest.mark.parametrize("fault", ["blackhole", "refuse"])
async def test_originals_are_served_while_mongodb_is_down(
    client: Client,
    catalog: Catalog,
    blobs: ObjectStore,
    image: ListedOriginal,
    database: ChaosProxy,
    fault: str,
) -> None:
    unseen = await list_original(catalog, blobs, 1000, mime="image/png")
    assert await status(client, image.by_id) == 200
    setattr(database, fault, True)
    await database.drop_connections()
    async with client.get(unseen.by_content) as response:
        assert (response.status, await response.read()) == (200, unseen.data)
        assert response.headers["Content-Type"] == "image/png"
    async with client.get(image.by_id) as response:
        assert (response.status, await response.read()) == (200, image.data)
        assert response.headers["Content-Disposition"].startswith("inline")
    assert await status(client, unseen.by_id) == 503

    async def stale() -> bool:
        assert await status(client, image.by_id) == 200
        return not await metric(client, "edge_stale_total 0")

    await until(stale)
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert set(await asyncio.gather(*(status(client, image.by_id) for _ in range(10)))) == {200}
    assert loop.time() - start < 10 * 1.0
    database.clear_faults()

    async def recovered() -> bool:
        return await status(client, unseen.by_id) == 200

    await until(recovered)


async def test_304_by_etag_needs_no_server(
    client: Client, image: ListedOriginal, store: ChaosProxy, database: ChaosProxy
) -> None:
    async with client.get(image.by_id) as response:
        assert response.status == 200
        etag = response.headers["ETag"]
    store.refuse = database.refuse = True
    await store.drop_connections()
    await database.drop_connections()
    for path, tag in ((image.by_content, f'"{image.content}"'), (image.by_id, etag)):
        async with client.get(path, headers={"If-None-Match": tag}) as response:
            assert response.status == 304


async def test_client_disconnect_ends_the_transfer(
    client: Client, image: ListedOriginal, store: ChaosProxy
) -> None:
    store.rate = 1_000_000
    for _ in range(3):
        async with client.get(image.by_content) as response:
            await response.content.readexactly(1000)
            response.close()
    await wait_until_idle(client)

    async def closed() -> bool:
        return store.open_connections == 0

    await until(closed)


async def test_requests_cancelled_at_any_time_leak_nothing(
    edge_settings: EdgeSettings, image: ListedOriginal, store: ChaosProxy
) -> None:
    before, random = asyncio.all_tasks(), Random(5)
    async with running_edge(edge_settings) as client:

        async def fetch(number: int) -> None:
            range_header = ("", "bytes=5-", "bytes=0-9,100000-900000")[number % 3]
            path = (image.by_content, image.by_id)[number % 2]
            async with client.get(path, headers={"Range": range_header} if range_header else {}) as response:
                await response.read()

        for _ in range(30):
            requests = [asyncio.ensure_future(fetch(number)) for number in range(6)]
            for request in requests:
                await asyncio.sleep(random.expovariate(200))
                request.cancel()
            await asyncio.gather(*requests, return_exceptions=True)
        await wait_until_idle(client)
        async with client.get(image.by_content) as response:
            assert await response.read() == image.data

    async def nothing_leaked() -> bool:
        # pymongo has background tasks that start and end by themselves.
        leaked = [task for task in asyncio.all_tasks() - before if "pymongo" not in repr(task)]
        return store.open_connections == 0 and not leaked

    await until(nothing_leaked)


class SlowReader:
    """A client with a small receive buffer that reads only on demand."""

    def __init__(self, client: Client) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self.socket.setblocking(False)
        self.address = ("127.0.0.1", client.port or 0)

    async def send_request(self, path: str) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, self.address)
        await loop.sock_sendall(self.socket, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def read_body(self, length: int) -> bytes:
        """The body of the response; shorter where the connection closes early."""
        loop, received = asyncio.get_running_loop(), bytearray()
        while not (b"\r\n\r\n" in received and len(received) - received.index(b"\r\n\r\n") - 4 >= length):
            try:
                data = await loop.sock_recv(self.socket, 1 << 20)
            except ConnectionResetError:
                break
            if not data:
                break
            received += data
        self.socket.close()
        return bytes(received[received.index(b"\r\n\r\n") + 4 :])


async def test_paused_client_releases_its_upstream_connection_and_resumes(
    client: Client, catalog: Catalog, blobs: ObjectStore, store: ChaosProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "SLOW_CLIENT_S", 0.05)
    image, reader = await list_original(catalog, blobs, 12_000_000), SlowReader(client)
    await reader.send_request(image.by_content)
    await until(lambda: metric(client, "edge_transfers 1"))
    await wait_until_idle(client)  # although the response is not complete
    assert await reader.read_body(len(image.data)) == image.data
    await wait_until_idle(client)


async def test_client_that_never_reads_is_disconnected(
    client: Client, catalog: Catalog, blobs: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "SLOW_CLIENT_S", 0.05)
    monkeypatch.setattr(streaming, "CLIENT_STALL_S", 0.1)
    image, reader = await list_original(catalog, blobs, 12_000_000), SlowReader(client)
    await reader.send_request(image.by_content)
    await until(lambda: metric(client, "edge_transfers 1"))
    await until(lambda: metric(client, "http_requests_in_flight 1"))  # this metrics request itself
    assert len(await reader.read_body(len(image.data))) < len(image.data)
