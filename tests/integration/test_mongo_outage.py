"""MongoDB is down, silent or back again: requests get a clear error, quickly once the outage is detected."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent

import tagify.catalog.client
from api.app import build
from tagify.catalog import Catalog, ImageFilter, MarkMissing, MoveImage, UpsertImage
from tagify.catalog.client import INDEXES_TIMEOUT_S
from tagify.model import Content, FileFacts, Picture
from tagify.settings import ApiSettings
from tests.conftest import Values
from tests.support.catalog_fixtures import remove_library
from tests.support.chaos_proxy import ChaosProxy, chaos_proxy
from tests.support.killable_process import killable_process, mongod_program
from tests.support.waiting import until

Client = TestClient[Any, Any]

# The driver leaves connections whose setup timed out to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.usefixtures("garbage_collected"),
]

DEADLINE_S = 5.0


@asynccontextmanager
async def client_via_proxy(values: Values, **more: Any) -> AsyncIterator[tuple[Client, ChaosProxy]]:
    uri = values["mongo_uri"]
    async with chaos_proxy(uri) as proxy:
        proxy_uri = uri.replace(f":{urlsplit(uri).port}/", f":{proxy.port}/")
        settings = ApiSettings(**{**values, "mongo_uri": proxy_uri}, mongo_timeout_s=DEADLINE_S, **more)
        async with TestClient(TestServer(build(settings))) as client:
            await until(lambda: _status(client, "/readyz", 200))
            yield client, proxy
            proxy.clear_faults()
            await proxy.drop_connections()
        gc.collect()


async def _status(client: Client, path: str, status: int) -> bool:
    async with client.get(path) as response:
        return response.status == status


async def _seconds_to_503(client: Client) -> float:
    """Seconds until a list request gets a correct 503."""
    start = time.perf_counter()
    async with client.get("/api/images") as response:
        body = await response.json(content_type=None)
        assert response.status == 503, body
        assert body["type"] == "urn:tagify:problem:unavailable"
        assert int(response.headers["Retry-After"]) > 0
    return time.perf_counter() - start


@pytest.mark.parametrize("fault", ["refuse", "blackhole"])
async def test_requests_fail_immediately_once_the_outage_is_detected(
    mongo_values: Values, fault: str
) -> None:
    async with client_via_proxy(mongo_values) as (client, proxy):
        setattr(proxy, fault, True)
        if fault == "refuse":
            await proxy.drop_connections()
        async with asyncio.timeout(20):
            while await _seconds_to_503(client) > DEADLINE_S / 5:
                pass
        durations = [await _seconds_to_503(client) for _ in range(20)]
        # None of them waited for its deadline, even on a slow machine.
        assert sum(durations) < DEADLINE_S
        assert await _status(client, "/readyz", 503)
        assert await _status(client, "/livez", 200)
        proxy.clear_faults()
        await until(lambda: _status(client, "/api/images", 200))
        await until(lambda: _status(client, "/readyz", 200))


async def test_readiness_waits_at_most_a_second_for_a_silent_server(mongo_values: Values) -> None:
    async with client_via_proxy(mongo_values) as (client, proxy):
        proxy.blackhole = True
        start = time.perf_counter()
        assert await _status(client, "/readyz", 503)
        assert time.perf_counter() - start < DEADLINE_S - 1


async def test_readiness_reports_a_server_that_is_not_a_primary(tmp_path: Path) -> None:
    program, uri = mongod_program(tmp_path)
    settings = ApiSettings(
        mongo_uri=SecretStr(uri), mongo_database="test", mongo_timeout_s=DEADLINE_S, library_roots=(tmp_path,)
    )
    async with killable_process(program), TestClient(TestServer(build(settings))) as client:
        await until(lambda: _status(client, "/readyz", 200))
        async with AsyncMongoClient[dict[str, Any]](uri) as server:
            await server.admin.command("replSetStepDown", 6, secondaryCatchUpPeriodSecs=0, force=True)
        start = time.perf_counter()
        async with client.get("/readyz") as response:
            checks = (await response.json())["checks"]
        assert (response.status, checks) == (503, {"mongo": "MongoDB answers, but is not a primary"})
        assert time.perf_counter() - start < DEADLINE_S - 1
        async with client.post("/api/libraries", json={"path": str(tmp_path)}) as response:
            assert (response.status, int(response.headers["Retry-After"]) > 0) == (503, True)
        await until(lambda: _status(client, "/readyz", 200), timeout_s=60)
        async with client.post("/api/libraries", json={"path": str(tmp_path)}) as response:
            assert response.status == 201
    gc.collect()


class CommandRecorder(CommandListener):
    """Records the commands sent to MongoDB."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command:  # commands of the login are redacted
            self.commands.append(dict(event.command))

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...


async def test_commands_have_a_deadline_on_the_server(
    mongo_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = CommandRecorder()
    monkeypatch.setattr(tagify.catalog.client, "CommandMonitor", lambda *_: recorder)
    catalog = Catalog(ApiSettings(**mongo_values, mongo_timeout_s=DEADLINE_S))
    await _run_all_operations(catalog)
    await catalog.close()
    without = [next(iter(command)) for command in recorder.commands if "maxTimeMS" not in command]
    # The first two clean up; a getMore inherits the deadline of its find.
    assert set(without) <= {"endSessions", "killCursors", "getMore"}
    names = {next(iter(command)) for command in recorder.commands}
    assert names >= {"find", "insert", "update", "delete", "commitTransaction", "createIndexes", "hello"}
    # Some calls have longer deadlines, index creation the longest; none is unbounded.
    deadlines = [command["maxTimeMS"] for command in recorder.commands if "maxTimeMS" in command]
    assert min(deadlines) > 0
    assert max(deadlines) <= INDEXES_TIMEOUT_S * 1000


async def _run_all_operations(catalog: Catalog) -> None:
    await catalog.ensure_indexes()
    await catalog.ping()
    library = await catalog.libraries.create("Test", "/srv/test")
    await catalog.libraries.rename(library.id, "Tested")
    await catalog.leases.acquire(library.id, "somebody", 30)
    picture = Picture("image/jpeg", 600, 400, b"\x01\x02", keywords=("sea",))
    content = Content("0" * 64)
    await catalog.images.write([UpsertImage(library.id, FileFacts("a.jpg", 1, 1, 1), content, picture)])
    tile = (await catalog.listing.page(ImageFilter(tags=("sea",)), limit=10)).tiles[0]
    await catalog.images.get(tile.id)
    entry = (await catalog.images.by_paths(library.id, ["a.jpg"]))["a.jpg"]
    await catalog.images.write([MoveImage(entry, library.id, FileFacts("b.jpg", 1, 1, 1))])
    await catalog.tags.change([tile.id], ["sun"], ["sea"])
    await catalog.tags.most_used(limit=10)
    assert await catalog.images.list_below(library.id, "")
    await catalog.images.write([MarkMissing(tile.id, library.id, "b.jpg")])
    await catalog.deletion_queue.unreferenced([content])
    await catalog.libraries.begin_removal(library.id)
    await remove_library(catalog, library)
    changes = catalog.change_stream.follow()
    await anext(changes)
    await changes.aclose()


async def test_event_client_survives_a_silent_server_and_gets_the_missed_events(
    mongo_values: Values, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tagify.catalog.client, "SOCKET_TIMEOUT_MS", 2000)
    async with client_via_proxy(mongo_values) as (client, proxy), client.get("/api/events") as events:
        await events.content.readuntil(b"\n\n")
        proxy.blackhole = True
        await until(lambda: _status(client, "/readyz", 503))
        await catalog.libraries.create("Test", "/srv/test")
        # Tagify drops the hanging connections: the server never answers on them again.
        await asyncio.sleep(0)
        proxy.clear_faults()
        async with asyncio.timeout(30):
            while b"/srv/test" not in await events.content.readuntil(b"\n\n"):
                pass
