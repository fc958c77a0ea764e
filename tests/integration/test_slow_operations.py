"""What slow and absent servers leave in the log: one line per slow call, with its cause, and two per outage."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

import api.app
import edge.app
from tagify.catalog import Catalog
from tagify.errors import Unavailable
from tagify.metrics import Metrics
from tagify.model import Bucket, Content
from tagify.settings import ApiSettings, CommonSettings, EdgeSettings
from tagify.storage.store import ObjectStore
from tagify.web import METRICS
from tests.conftest import Values
from tests.support import pictures
from tests.support.catalog_fixtures import insert_stored_image
from tests.support.chaos_proxy import ChaosProxy, chaos_proxy
from tests.support.ports import free_ports
from tests.support.waiting import until

over_minio = pytest.mark.parametrize("s3", ["minio"], indirect=True)

Fields = dict[str, Any]


def fields_of(caplog: pytest.LogCaptureFixture, message: str) -> list[Fields]:
    """The fields of each line with this message."""
    return [getattr(record, "fields", {}) for record in caplog.records if record.getMessage() == message]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def content_of(data: bytes) -> Content:
    return Content(hashlib.sha256(data).hexdigest())


@asynccontextmanager
async def store_via_proxy(
    values: Values, metrics: Metrics, **more: Any
) -> AsyncIterator[tuple[ObjectStore, ChaosProxy]]:
    async with chaos_proxy(values["s3_endpoint"]) as proxy:
        settings = CommonSettings(**{**values, "s3_endpoint": proxy.endpoint}, **more)
        store = ObjectStore(settings, metrics, threads=1)
        await store.ensure_buckets()
        try:
            yield store, proxy
        finally:
            await store.close()


@over_minio
async def test_slow_uploads_are_logged_with_their_wait_for_a_thread_and_rate_limited(
    s3_values: Values, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    async with store_via_proxy(s3_values, metrics, slow_s3_s=0.05) as (store, proxy):
        caplog.clear()
        proxy.latency_s = 0.06
        bodies = [f"object {number}".encode() for number in range(30)]
        await asyncio.gather(
            *(store.upload(Bucket.ORIGINALS, content_of(data), data, "image/jpeg") for data in bodies)
        )
    lines = fields_of(caplog, "slow S3 operation")
    assert 1 <= len(lines) <= 20
    first, last = lines[0], lines[-1]
    assert (first["operation"], first["left_out"]) == ("put", 0)
    assert first["object"].endswith(content_of(bodies[0]))
    assert first["ms"] >= 50
    # One thread: the last uploads have waited for the first ones.
    assert last["queue_ms"] > first["queue_ms"]
    page = metrics.exposition()[0].decode()
    assert 'tagify_s3_operation_seconds_count{operation="put",outcome="ok"} 30' in page
    assert "tagify_s3_slow_operations_total 30" in page


@over_minio
async def test_an_outage_of_the_s3_server_gives_two_lines(
    s3_values: Values, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with store_via_proxy(s3_values, Metrics()) as (store, proxy):
        caplog.clear()
        proxy.refuse = True
        await proxy.drop_connections()
        for _ in range(3):
            with pytest.raises(Unavailable):
                await store.exists(Bucket.THUMBS, content_of(b""))
        proxy.clear_faults()

        async def is_back() -> bool:
            await store.exists(Bucket.THUMBS, content_of(b""))
            return "server is back: S3" in caplog.messages

        await until(is_back)
    # The urllib3 logger is silenced by `configure_logging`, not here.
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("tagify")]
    assert messages == [
        "server unavailable: S3: the S3 server does not answer",
        "server is back: S3",
    ]


@over_minio
@pytest.mark.parametrize("size", [pytest.param(200_000, id="copied"), pytest.param(2_000_000, id="spliced")])
async def test_a_slow_original_is_logged_with_what_the_request_waited_for(
    catalog: Catalog,
    blobs: ObjectStore,
    mongo_values: Values,
    s3_values: Values,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    size: int,
) -> None:
    image = await insert_stored_image(catalog, blobs, pictures.jpeg(1200, 900).ljust(size, b"\0"))
    async with chaos_proxy(s3_values["s3_endpoint"]) as proxy:
        values = {**mongo_values, **s3_values, "s3_endpoint": proxy.endpoint}
        slow: Values = {"slow_request_s": 0.3, "slow_s3_s": 0.3}
        app = edge.app.build(EdgeSettings(**values, **slow, edge_cache_dir=tmp_path, edge_port=free_ports()))
        async with TestClient(TestServer(app)) as client:
            caplog.clear()
            proxy.latency_s, proxy.rate = 0.1, size / 0.5
            async with client.get(f"/media/{image.content}/original") as response:
                assert len(await response.read()) == size
            await until(lambda: _has(caplog, "slow request"))
            page = app[METRICS].exposition()[0].decode()
    (operation,) = fields_of(caplog, "slow S3 operation")
    assert (operation["operation"], operation["object"]) == ("read", f"originals/{image.content}")
    (line,) = fields_of(caplog, "slow request")
    assert (line["method"], line["route"], line["status"]) == ("GET", "/media/{content}/original", 200)
    assert line["waited_ms"]["S3"] >= 300
    assert line["ms"] >= line["waited_ms"]["S3"]
    assert "tagify_http_slow_requests_total 1" in page
    # A stop is no outage.
    assert not [line for line in warnings_of(caplog) if line.startswith("server unavailable")]


async def _has(caplog: pytest.LogCaptureFixture, message: str) -> bool:
    return message in caplog.messages


async def test_an_outage_of_mongodb_gives_two_lines_and_failed_requests_one_each(
    mongo_values: Values, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    uri = mongo_values["mongo_uri"]
    async with chaos_proxy(uri) as proxy:
        port = uri.partition("127.0.0.1:")[2].partition("/")[0]
        values = {**mongo_values, "mongo_uri": uri.replace(f":{port}/", f":{proxy.port}/")}
        app = api.app.build(ApiSettings(**values, slow_query_ms=60_000))
        async with TestClient(TestServer(app)) as client:

            async def status(expected: int) -> bool:
                async with client.get("/api/tags") as response:
                    return response.status == expected

            await until(lambda: status(200))
            caplog.clear()
            proxy.refuse = True
            await proxy.drop_connections()
            await until(lambda: status(503))
            # Long enough for several attempts of each background task.
            attempts = proxy.accepted_count + 3
            await until(lambda: _accepted(proxy, attempts))
            outage = [line for line in warnings_of(caplog) if line != "request"]
            assert len(outage) == 1
            assert outage[0].startswith("server unavailable: MongoDB: ")
            proxy.clear_faults()
            await until(lambda: status(200))
            await until(lambda: _has(caplog, "server is back: MongoDB"))
            assert caplog.messages.count("server is back: MongoDB") == 1


async def _accepted(proxy: ChaosProxy, number: int) -> bool:
    return proxy.accepted_count >= number
