"""The event stream over HTTP: many clients, reconnecting clients, and clients that stop reading."""

import asyncio
import hashlib
import json
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import api.events.hub
import api.events.replay
import api.handlers.events
from api.app import build
from api.app_keys import EVENT_HUB
from api.events import EventHub
from api.serializers import Serializer
from tagify.catalog import (
    Catalog,
    CatalogChange,
    ChangeKind,
    ChangeStreamHistoryLost,
    ResumeToken,
    UpsertImage,
)
from tagify.metrics import Metrics
from tagify.model import Content, FileFacts, ImageId, Library, Picture
from tagify.settings import ApiSettings
from tests.conftest import Values
from tests.support.waiting import until

Client = TestClient[Any, Any]
EventBlock = dict[str, str]


def image(library: Library, number: int) -> UpsertImage:
    content = Content(hashlib.sha256(str(number).encode()).hexdigest())
    file = FileFacts(f"{number:05}.jpg", 100, number, number + 1)
    return UpsertImage(library.id, file, content, Picture("image/jpeg", 600, 400, b"\x01\x02"))


@asynccontextmanager
async def run_api(values: Values, **settings: Any) -> AsyncIterator[Client]:
    """Run an API until the end of the block."""
    async with TestClient(TestServer(build(ApiSettings(**values, **settings)))) as client:
        yield client


@asynccontextmanager
async def open_stream(
    client: Client, last: str | None = None
) -> AsyncIterator[AsyncGenerator[EventBlock, None]]:
    """Open an event stream; yields its blocks (`id`, `event`, `data`, `retry`), the start block first."""
    headers = {"Last-Event-ID": last} if last is not None else {}
    async with asyncio.timeout(30), client.get("/api/events", headers=headers) as response:
        blocks = _read_blocks(response.content)
        yield blocks
        await blocks.aclose()


async def _read_blocks(content: Any) -> AsyncGenerator[EventBlock, None]:
    block: EventBlock = {}
    async for raw in content:
        name, _, value = raw.decode().rstrip("\n").partition(": ")
        if name:
            block[name] = value
        elif block:
            yield block
            block = {}


async def next_paths(blocks: AsyncGenerator[EventBlock, None], number: int) -> list[str]:
    """The paths of the images in the next `number` image events."""
    paths: list[str] = []
    while len(paths) < number:
        block = await anext(blocks)
        if block.get("event", "").startswith("image."):
            paths.append(json.loads(block["data"])["path"])
    return paths


async def test_a_reconnecting_client_misses_no_event_even_after_a_restart(
    catalog: Catalog, library: Library, mongo_values: Values
) -> None:
    async with run_api(mongo_values) as client, open_stream(client) as blocks:
        assert (await anext(blocks))["retry"]
        await catalog.images.write([image(library, 0)])
        block = await anext(blocks)
        while block.get("event") != "image.added":
            block = await anext(blocks)
    await catalog.images.write([image(library, 1)])
    async with run_api(mongo_values) as client:
        async with open_stream(client, block["id"]) as blocks:
            hello = await anext(blocks)
            assert hello["id"] == block["id"]
            assert await next_paths(blocks, 1) == ["00001.jpg"]
            await catalog.images.write([image(library, 2)])
            assert await next_paths(blocks, 1) == ["00002.jpg"]
        async with open_stream(client, block["id"]) as blocks:
            assert await next_paths(blocks, 2) == ["00001.jpg", "00002.jpg"]


async def test_heartbeats_advance_the_last_event_id_without_events(
    catalog: Catalog, library: Library, mongo_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.events.hub, "HEARTBEAT_S", 0.1)
    async with run_api(mongo_values) as client, open_stream(client) as blocks:
        start = (await anext(blocks))["id"]

        async def last_event_id() -> str:
            # Changes of leases give no event.
            await catalog.leases.acquire(library.id, "somebody", 30)
            beat = await anext(blocks)
            assert set(beat) == {"id"}
            return beat["id"] if beat["id"] > start else ""

        last = await until(last_event_id)
        await catalog.images.write([image(library, 1)])
    async with run_api(mongo_values) as client, open_stream(client, last) as blocks:
        assert await next_paths(blocks, 1) == ["00001.jpg"]


async def test_many_reconnecting_clients_share_one_replay(
    catalog: Catalog, library: Library, mongo_values: Values
) -> None:
    async with run_api(mongo_values) as client, open_stream(client) as blocks:
        last = (await anext(blocks))["id"]
    await catalog.images.write([image(library, number) for number in range(5)])
    async with run_api(mongo_values) as client:

        async def reconnect() -> list[str]:
            async with open_stream(client, last) as blocks:
                return await next_paths(blocks, 5)

        hub = client.app[EVENT_HUB]
        followed = []
        follow = hub._changes.follow

        def counting_follow(after: str | None = None) -> Any:
            followed.append(after)
            return follow(after)

        hub._replay._changes = SimpleNamespace(follow=counting_follow)
        results = await asyncio.gather(*(reconnect() for _ in range(40)))
    assert results == [[f"{number:05}.jpg" for number in range(5)]] * 40
    assert followed.count(last) == 1
    assert len(followed) <= 2


async def test_all_clients_share_one_change_stream(mongo_values: Values) -> None:
    async with run_api(mongo_values) as client, AsyncExitStack() as clients:
        for _ in range(30):
            await anext(await clients.enter_async_context(open_stream(client)))
        async with client.get("/metrics") as response:
            page = await response.text()
    assert "tagify_api_event_clients 30" in page
    followed = re.findall(r'(?m)^tagify_mongo_command_seconds_count\{.*command="aggregate".*\} (\d+)', page)
    assert followed == ["1"]


@pytest.mark.parametrize("last", ["nonsense", "8200000000000000", "82" + "0" * 60, "x" * 5000])
async def test_an_invalid_last_event_id_gets_reload_and_a_valid_token(
    mongo_values: Values, last: str
) -> None:
    async with run_api(mongo_values) as client:
        async with open_stream(client, last) as blocks:
            received = [block async for block in blocks]
        assert [block.get("event") for block in received][-1] == "reload"
        async with open_stream(client, received[-1]["id"]) as blocks:
            assert (await anext(blocks))["retry"]


async def test_clients_above_the_limit_are_rejected(mongo_values: Values) -> None:
    async with run_api(mongo_values, api_event_clients=1) as client, open_stream(client) as blocks:
        await anext(blocks)
        async with client.get("/api/events") as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0


class ScriptedChanges:
    """A change stream whose changes the test enqueues."""

    def __init__(self) -> None:
        self.number = 0
        self.queue: asyncio.Queue[CatalogChange | ResumeToken | Exception] = asyncio.Queue()

    def add(self, number: int, size: int) -> None:
        for _ in range(number):
            self.number += 1
            token = f"82{self.number:030X}"
            self.queue.put_nowait(CatalogChange(token, ChangeKind.IMAGE_REMOVED, ImageId("f" * size)))

    async def follow(self, after: str | None = None) -> AsyncGenerator[CatalogChange | ResumeToken, None]:
        yield ResumeToken(after or "82" + "0" * 30)
        while True:
            change = await self.queue.get()
            if isinstance(change, Exception):
                raise change
            yield change


@asynccontextmanager
async def run_scripted_api() -> AsyncIterator[tuple[Client, ScriptedChanges]]:
    changes, app = ScriptedChanges(), web.Application()
    app[EVENT_HUB] = hub = EventHub(changes, Serializer("", (320,)), Metrics(), max_clients=100)
    app.add_routes(api.handlers.events.routes)
    following = asyncio.create_task(hub.run())
    async with TestClient(TestServer(app)) as client:
        yield client, changes
        hub.close()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def connect_without_reading(client: Client) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that requests events and reads only the start of the stream."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    assert client.port is not None
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", client.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=4096)
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
    await reader.readuntil(b"retry: ")
    return reader, writer


async def test_a_slow_client_gets_reload_as_its_last_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api.events.hub, "MAX_EVENTS", 20)
    monkeypatch.setattr(api.handlers.events, "STALL_TIMEOUT_S", 60.0)
    async with run_scripted_api() as (client, changes):
        reader, writer = await connect_without_reading(client)
        async with open_stream(client) as blocks:
            for _ in range(100):
                changes.add(10, 10_000)
                for _ in range(10):
                    while (await anext(blocks)).get("event") != "image.removed":
                        pass
            async with asyncio.timeout(20):
                remaining = await reader.read(-1)
        writer.close()
        assert remaining.count(b"image.removed") < 1000
        assert b"event: reload" in remaining[-200:]


async def test_a_client_that_stops_reading_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.handlers.events, "STALL_TIMEOUT_S", 0.2)
    async with run_scripted_api() as (client, changes):
        hub = client.app[EVENT_HUB]
        _, writer = await connect_without_reading(client)
        assert hub._clients == 1

        async def disconnected() -> bool:
            changes.add(100, 10_000)
            return not hub._clients

        await until(disconnected)
        writer.close()


async def test_all_clients_get_reload_when_the_change_stream_history_is_lost() -> None:
    async with run_scripted_api() as (client, changes), open_stream(client) as blocks:
        await anext(blocks)
        changes.queue.put_nowait(ChangeStreamHistoryLost("gone"))
        assert [block["event"] async for block in blocks] == ["reload"]


async def test_too_many_missed_events_cause_a_reload(
    catalog: Catalog, library: Library, mongo_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.events.replay, "MAX_REPLAYED", 3)
    async with run_api(mongo_values) as client, open_stream(client) as blocks:
        last = (await anext(blocks))["id"]
    await catalog.images.write([image(library, number) for number in range(10)])
    async with run_api(mongo_values) as client:
        for _ in range(2):
            async with open_stream(client, last) as blocks:
                assert [block.get("event") async for block in blocks][-1] == "reload"
