"""An outage of S3 or MongoDB during an import: the daemon reports it, retries, and drops nothing."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from tagify.catalog import Catalog
from tagify.servers.minio import minio_server
from tagify.servers.mongod import mongo_server
from tests.support import pictures
from tests.support.chaos_proxy import ChaosProxy, chaos_proxy
from tests.support.content_history import ContentHistory
from tests.support.ingest_harness import IngestHarness
from tests.support.killable_process import KillableProcess, killable_process
from tests.support.mounts import mount_namespace
from tests.support.ops_pages import OpsPages
from tests.support.ports import free_ports
from tests.support.servers import find_binary
from tests.support.waiting import until

# The driver leaves a connection that it stopped opening to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.parametrize("s3", ["minio"], indirect=True),
]

FILES = 120
QUEUE = 20
TIMEOUT_S = 1.0
Fault = Callable[[ChaosProxy], Awaitable[None]]
FULL = b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def proxied(harness: IngestHarness, server: str) -> AsyncIterator[ChaosProxy]:
    """The daemon connects to one of its servers through a proxy."""
    settings = harness.settings
    uri = settings.mongo_uri.get_secret_value()
    async with chaos_proxy(settings.s3_endpoint if server == "objects" else uri) as proxy:
        address = uri.rpartition("@")[2].partition("/")[0]
        override = (
            {"s3_endpoint": proxy.endpoint}
            if server == "objects"
            else {"mongo_uri": SecretStr(uri.replace(address, f"127.0.0.1:{proxy.port}"))}
        )
        harness.settings = settings.model_copy(
            update=override
            | {"s3_timeout_s": TIMEOUT_S, "mongo_timeout_s": TIMEOUT_S, "ingest_queue_size": QUEUE}
        )
        yield proxy


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagify.concurrency.retry.LONGEST_WAIT_S", 0.5)
    monkeypatch.setattr("tagify.catalog.images.repository.BATCH_TIMEOUT_S", 3 * TIMEOUT_S)


def write(harness: IngestHarness, start: int, end: int) -> None:
    for number in range(start, end):
        (harness.root / f"{number:03}.jpg").write_bytes(pictures.jpeg(48, 32, seed=number))


async def indexed(harness: IngestHarness, count: int) -> None:
    async def probe() -> bool:
        return (await harness.load_library()).indexed_count >= count

    await until(probe, timeout_s=90)


async def refuse(proxy: ChaosProxy) -> None:
    """Refuse connections, as a killed server does."""
    proxy.refuse = True
    await proxy.drop_connections()


async def hang(proxy: ChaosProxy) -> None:
    """Never answer, as behind a firewall that drops packets."""
    proxy.blackhole = True


async def fill(proxy: ChaosProxy) -> None:
    """Answer as a store without free space."""
    proxy.canned_response = FULL


@pytest.mark.parametrize(
    ("server", "fault"),
    [
        ("objects", refuse),
        ("objects", hang),
        ("objects", fill),
        ("catalog", refuse),
        ("catalog", hang),
    ],
)
async def test_an_import_resumes_after_an_outage(
    harness: IngestHarness, server: str, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    history = ContentHistory(harness.settings)
    async with proxied(harness, server) as proxy, harness.running_ingest() as running:
        pages = OpsPages.for_server(running)
        write(harness, 0, FILES // 2)
        await indexed(harness, 5)
        await fault(proxy)
        write(harness, FILES // 2, FILES)

        async def is_reported() -> bool:
            status, body = await pages.readiness()
            waiting = await pages.metric(f'ingest_waiting{{what="{server}"}}')
            return status == 503 and server in body["checks"]["progress"] and waiting >= 1

        await until(is_reported, timeout_s=60)
        assert await pages.metric("ingest_queue_files") <= 2 * QUEUE
        proxy.clear_faults()
        await indexed(harness, FILES)

        async def is_ready() -> bool:
            status, _ = await pages.readiness()
            return status == 200 and await pages.metric(f'ingest_waiting{{what="{server}"}}') == 0

        await until(is_ready, timeout_s=60)
    history.consume()
    history.close()
    assert (history.added_count, len(history.contents)) == (FILES, FILES)
    assert caplog.text.count("background task failed") == 0


@pytest.mark.parametrize("server", ["objects", "catalog"])
async def test_an_import_with_a_slow_server_completes(harness: IngestHarness, server: str) -> None:
    history = ContentHistory(harness.settings)
    async with proxied(harness, server) as proxy, harness.running_ingest():
        proxy.latency_s = 0.1
        write(harness, 0, FILES // 2)
        await indexed(harness, FILES // 2)
    history.consume()
    history.close()
    assert history.added_count == FILES // 2


async def test_an_import_resumes_when_a_full_store_has_space_again(
    harness: IngestHarness, tmp_path: Path
) -> None:
    server = minio_server(find_binary("minio"), tmp_path / "small", free_ports(), tmp_path / "minio.log")
    disk = tmp_path / "small" / "data"
    async with mount_namespace() as mounts:
        await mounts.run("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk)
        async with killable_process(
            replace(server.program, argv=mounts.command_inside(*server.program.argv))
        ):
            harness.settings = harness.settings.model_copy(
                update={
                    "s3_endpoint": server.endpoint,
                    "s3_access_key": SecretStr(server.access_key),
                    "s3_secret_key": SecretStr(server.secret_key),
                }
            )
            async with harness.running_ingest() as daemon:
                for number in range(FILES // 2):
                    data = pictures.jpeg(48, 32, seed=number) + os.urandom(1 << 20)
                    (harness.root / f"{number:03}.jpg").write_bytes(data)

                async def is_reported() -> bool:
                    _, body = await OpsPages.for_server(daemon).readiness()
                    return "objects" in body["checks"]["progress"]

                await until(is_reported, timeout_s=60)
                assert 0 < (await harness.load_library()).indexed_count < FILES // 2
                await mounts.run("mount", "-o", "remount,size=512m", disk)
                await indexed(harness, FILES // 2)


@asynccontextmanager
async def with_other_mongod(harness: IngestHarness, uri: str) -> AsyncIterator[IngestHarness]:
    """The same folder as a library in another MongoDB."""
    settings = harness.settings.model_copy(update={"mongo_uri": SecretStr(uri)})
    catalog = Catalog(settings)
    try:
        await catalog.ensure_indexes()
        library = await catalog.libraries.create("Test", str(harness.root))
        yield IngestHarness(harness.root, catalog, library, settings)
    finally:
        await catalog.close()


async def wait_until_exited_by_full_disk(mongod: KillableProcess, uri: str) -> None:
    """A mongod without free space exits at a checkpoint, which fsync triggers."""
    async with AsyncMongoClient[dict[str, object]](uri, timeoutMS=5_000) as client:

        async def has_died() -> bool:
            with suppress(PyMongoError):
                await client.admin.command("fsync")
            try:
                await asyncio.wait_for(mongod.wait_until_exited(), 0.2)
            except TimeoutError:
                return False
            return True

        await until(has_died, timeout_s=90)


async def test_an_import_resumes_after_a_mongod_with_a_full_disk_is_restarted(
    harness: IngestHarness, tmp_path: Path
) -> None:
    server = mongo_server(find_binary("mongod"), tmp_path / "small", free_ports(), tmp_path / "mongod.log")
    disk = tmp_path / "small" / "db"
    async with mount_namespace() as mounts:
        await mounts.run("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", disk)
        program = replace(server.program, argv=mounts.command_inside(*server.program.argv))
        async with killable_process(program) as mongod, with_other_mongod(harness, server.uri) as small:
            async with small.running_ingest() as daemon:
                write(harness, 0, FILES // 2)
                await indexed(small, 5)
                await mounts.run("sh", "-c", f"cat /dev/zero > {disk}/ballast 2> /dev/null || true")
                write(harness, FILES // 2, FILES)
                await wait_until_exited_by_full_disk(mongod, server.uri)

                async def is_reported() -> bool:
                    status, body = await OpsPages.for_server(daemon).readiness()
                    return status == 503 and "catalog" in body["checks"]["progress"]

                await until(is_reported, timeout_s=60)
                await mounts.run("rm", disk / "ballast")
                await mongod.start()
                await indexed(small, FILES)
            assert len(await small.images_by_path()) == FILES
            assert not await small.catalog.count_verifier.verify()
