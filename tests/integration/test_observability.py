"""Observability: metrics, logs, request ids."""

import asyncio
import gc
import json
import logging
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pymongo.monitoring import CommandStartedEvent, CommandSucceededEvent

import api.app
import edge.app
import ingest.app
import tagify.catalog.client
from tagify.catalog import Catalog, ImageFilter
from tagify.catalog.monitoring import CommandMonitor, query_shape
from tagify.logs import JsonFormatter, request_id
from tagify.metrics import Metrics
from tagify.settings import ApiSettings, EdgeSettings, IngestSettings
from tests.conftest import Values
from tests.support.servers import skip_or_fail

Client = TestClient[Any, Any]

# The driver leaves connections that failed during the handshake to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.usefixtures("garbage_collected"),
]
ALL_SERVERS_DOWN: Values = {
    "mongo_uri": "mongodb://127.0.0.1:1/?directConnection=true",
    "mongo_timeout_s": 0.3,
    "s3_endpoint": "http://127.0.0.1:1",
    "s3_timeout_s": 0.3,
}


def build_service(name: str, values: Values, folder: Path) -> web.Application:
    if name == "edge":
        return edge.app.build(EdgeSettings(**values, edge_cache_dir=folder))
    if name == "ingest":
        return ingest.app.build(IngestSettings(**values))
    return api.app.build(ApiSettings(**values))


@asynccontextmanager
async def run_service(name: str, values: Values, folder: Path) -> AsyncIterator[Client]:
    async with TestClient(TestServer(build_service(name, values, folder))) as client:
        yield client


@pytest.fixture(params=["api", "edge", "ingest"])
async def client(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Client]:
    """Each of the three services, with MongoDB and the S3 server down."""
    # On close, the catalog waits for the index build, which never ends here.
    monkeypatch.setattr("tagify.catalog.client.CLOSE_TIMEOUT_S", 0.2)
    async with run_service(request.param, ALL_SERVERS_DOWN, tmp_path) as client_:
        yield client_
    gc.collect()


async def get_text(client: Client, path: str) -> str:
    async with client.get(path) as response:
        return await response.text()


async def metric_series(client: Client) -> set[str]:
    lines = (await get_text(client, "/metrics")).splitlines()
    return {line.rpartition(" ")[0] for line in lines if line and not line.startswith("#")}


async def promtool_check(page: str) -> tuple[int | None, str]:
    """The exit status and the output of `promtool check metrics`."""
    promtool = shutil.which("promtool") or skip_or_fail("promtool", "sudo apt-get install prometheus")
    check = await asyncio.create_subprocess_exec(
        promtool, "check", "metrics", stdin=-1, stdout=-1, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await check.communicate(page.encode())
    return check.returncode, output.decode()


async def test_promtool_accepts_the_metrics(client: Client) -> None:
    await asyncio.gather(
        *(get_text(client, path) for path in ("/livez", "/readyz", "/nothing", "/api/images"))
    )
    assert await promtool_check(await get_text(client, "/metrics")) == (0, "")


async def test_promtool_accepts_the_metrics_of_mongodb_commands(mongo_values: Values, tmp_path: Path) -> None:
    async with run_service("api", mongo_values, tmp_path) as client:
        for path in ("/readyz", "/api/images?tags=sea", "/api/images?offset=1", "/api/tags", "/metrics"):
            await get_text(client, path)
        async with client.get("/api/events") as events:
            await events.content.readuntil(b"\n\n")
            page = await get_text(client, "/metrics")
    assert await promtool_check(page) == (0, "")
    for name in (
        'http_request_seconds_bucket{le="0.005",route="/api/images",status="2xx"}',
        'mongo_command_seconds_count{collection="tags",command="find",outcome="ok"}',
        "http_requests_in_flight",
        "api_offset_lists_total 1",
        "api_event_clients 1",
    ):
        assert name in page


async def test_random_urls_create_no_new_metric_series(client: Client) -> None:
    async def request_random_urls(start: int) -> None:
        for number in range(start, start + 20):
            for path in (f"/odd/{number}", f"/api/images/{number:024x}", f"/media/{number:064x}/original"):
                async with client.request(("GET", "PUT", "TRACE")[number % 3], path) as response:
                    await response.read()

    await request_random_urls(0)
    await metric_series(client)  # creates the series of /metrics itself
    before = await metric_series(client)
    await request_random_urls(1000)
    assert await metric_series(client) == before


@pytest.mark.parametrize("path", ["/livez", "/nothing"])
async def test_a_valid_request_id_is_kept_and_an_invalid_one_is_replaced(client: Client, path: str) -> None:
    async with client.get(path, headers={"X-Request-ID": "from-the-proxy-1"}) as response:
        assert response.headers["X-Request-ID"] == "from-the-proxy-1"
    request_ids = set()
    for bad in ("", "short", "x" * 65, "with spaces in it", "semi;colon;semi"):
        async with client.get(path, headers={"X-Request-ID": bad}) as response:
            request_ids.add(response.headers["X-Request-ID"])
    assert len(request_ids) == 5
    assert all(re.fullmatch(r"[\w.-]{8,64}", name) for name in request_ids)


async def test_the_request_id_is_sent_to_the_s3_server(tmp_path: Path) -> None:
    request_ids: list[str | None] = []

    async def record_id(request: web.Request) -> web.Response:
        request_ids.append(request.headers.get("X-Request-ID"))
        return web.Response(status=404)

    store = web.Application()
    store.router.add_route("*", "/{path:.*}", record_id)
    async with TestServer(store) as server:
        values = ALL_SERVERS_DOWN | {"s3_endpoint": str(server.make_url("")).rstrip("/")}
        async with run_service("edge", values, tmp_path) as client:
            path = f"/media/{'0' * 64}/original"
            async with client.get(path, headers={"X-Request-ID": "from-the-proxy-1"}) as response:
                assert response.status == 404
    assert "from-the-proxy-1" in request_ids


async def test_an_event_stream_has_the_request_id_header(mongo_values: Values, tmp_path: Path) -> None:
    async with (
        run_service("api", mongo_values, tmp_path) as client,
        client.get("/api/events", headers={"X-Request-ID": "from-the-proxy-1"}) as response,
    ):
        assert response.headers["X-Request-ID"] == "from-the-proxy-1"


async def test_a_slow_query_is_logged_with_shape_and_request_id_but_no_values(
    mongo_values: Values, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        tagify.catalog.client, "CommandMonitor", lambda _, metrics: CommandMonitor(0.0, metrics)
    )
    metrics = Metrics()
    catalog = Catalog(ApiSettings(**mongo_values), metrics)
    library = await catalog.libraries.create("Holidays", "/srv/holidays")
    request_id.set("from-the-proxy-1")
    with caplog.at_level(logging.WARNING, "tagify.catalog.monitoring"):
        await catalog.listing.page(ImageFilter(tags=("beach", "secret"), logic="or"), limit=5)
        await catalog.listing.page(ImageFilter(library_id=library.id), limit=5)
        lines = [json.loads(JsonFormatter("api").format(record)) for record in caplog.records]
        await catalog.tags.change(["f" * 24], ["beach"], [])  # type: ignore[list-item]
        logged = "\n".join(JsonFormatter("api").format(record) for record in caplog.records)
    await catalog.close()
    line = next(line for line in lines if line["collection"] == "images")
    assert (line["message"], line["command"], line["request"]) == ("slow query", "find", "from-the-proxy-1")
    assert line["shape"]["filter"]["library_id"] == "?"
    assert line["shape"]["filter"]["state"] == "?"
    assert not re.search(f"beach|secret|holidays|{library.id}|{'f' * 24}", logged, re.IGNORECASE)
    page = metrics.exposition()[0].decode()
    assert re.search(r'mongo_command_seconds_count\{.*command="find".*\} \d', page)
    assert re.search(r"mongo_slow_commands_total [1-9]", page)


def test_the_slow_query_log_is_rate_limited(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    monitor = CommandMonitor(0.0, metrics)
    for number in range(1000):
        command = {"find": "images", "filter": {"_id": number}}
        monitor.started(CommandStartedEvent(command, "test", number, ("host", 1), number))
        monitor.succeeded(
            CommandSucceededEvent(timedelta(seconds=1), {}, "find", number, ("host", 1), number)
        )
    assert 1 <= len(caplog.records) <= 100
    assert b"mongo_slow_commands_total 1000" in metrics.exposition()[0]


def test_a_query_shape_is_bounded() -> None:
    deep: Any = "value"
    for _ in range(100):
        deep = {"$and": [deep, deep]}
    assert "value" not in str(query_shape(deep))
    assert len(str(query_shape({"_id": {"$in": list(range(10_000))}}))) < 100


def test_command_and_collection_labels_are_bounded() -> None:
    monitor = CommandMonitor(1.0)
    labels = {monitor._label(f"name-{number}") for number in range(1000)}
    assert len(labels) < 50
    assert "other" in labels


def test_a_log_line_is_json_with_the_request_id() -> None:
    request_id.set("from-the-proxy-1")
    record = logging.LogRecord("a.b", logging.WARNING, __file__, 1, "told %s", ("\udcff",), None)
    line = json.loads(JsonFormatter("api").format(record))
    assert (line["level"], line["service"], line["request"]) == ("warning", "api", "from-the-proxy-1")
    assert line["message"] == "told \\udcff"
