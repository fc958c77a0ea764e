"""S3 or MongoDB goes in the middle of an import: the daemon waits, says so, and goes on; nothing is dropped."""

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
from tests.support.chaos_proxy import Chaos, chaos
from tests.support.content_history import History
from tests.support.ingest_harness import House
from tests.support.killable_process import Killable, running
from tests.support.mounts import mount_namespace
from tests.support.ops_pages import Pages
from tests.support.ports import free_ports
from tests.support.servers import binary
from tests.support.waiting import until

# The driver leaves a connection whose making it gave up to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.usefixtures("garbage_collected"),
    pytest.mark.parametrize("s3", ["minio"], indirect=True),
]

FILES = 120
QUEUE = 20
TIMEOUT_S = 1.0
Fault = Callable[[Chaos], Awaitable[None]]
FULL = b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def behind(house: House, server: str) -> AsyncIterator[Chaos]:
    """The daemon will find one of its servers behind a proxy."""
    settings = house.settings
    uri = settings.mongo_uri.get_secret_value()
    async with chaos(settings.s3_endpoint if server == "objects" else uri) as proxy:
        there = uri.rpartition("@")[2].partition("/")[0]
        way = (
            {"s3_endpoint": proxy.endpoint}
            if server == "objects"
            else {"mongo_uri": SecretStr(uri.replace(there, f"127.0.0.1:{proxy.port}"))}
        )
        house.settings = settings.model_copy(
            update=way | {"s3_timeout_s": TIMEOUT_S, "mongo_timeout_s": TIMEOUT_S, "ingest_queue_size": QUEUE}
        )
        yield proxy


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagify.concurrency.retry.LONGEST_WAIT_S", 0.5)
    monkeypatch.setattr("tagify.catalog.images.repository.BATCH_TIMEOUT_S", 3 * TIMEOUT_S)


def write(house: House, start: int, end: int) -> None:
    for number in range(start, end):
        (house.root / f"{number:03}.jpg").write_bytes(pictures.jpeg(48, 32, seed=number))


async def indexed(house: House, least: int) -> None:
    async def probe() -> bool:
        return (await house.state()).indexed_count >= least

    await until(probe, timeout_s=90)


async def refuse(proxy: Chaos) -> None:
    """As a server that was killed does."""
    proxy.refuse = True
    await proxy.sever()


async def hang(proxy: Chaos) -> None:
    """As behind a firewall that drops all."""
    proxy.blackhole = True


async def fill(proxy: Chaos) -> None:
    """As a store without room."""
    proxy.answer = FULL


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
async def test_a_server_that_goes_is_waited_for(
    house: House, server: str, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    history = History(house.settings)
    async with behind(house, server) as proxy, house.daemon() as running:
        pages = Pages.of(running)
        write(house, 0, FILES // 2)
        await indexed(house, 5)
        await fault(proxy)
        write(house, FILES // 2, FILES)

        async def told() -> bool:
            status, body = await pages.ready()
            waiting = await pages.metric(f'ingest_waiting{{what="{server}"}}')
            return status == 503 and server in body["checks"]["progress"] and waiting >= 1

        await until(told, timeout_s=60)
        assert await pages.metric("ingest_queue_files") <= 2 * QUEUE
        proxy.heal()
        await indexed(house, FILES)

        async def well() -> bool:
            status, _ = await pages.ready()
            return status == 200 and await pages.metric(f'ingest_waiting{{what="{server}"}}') == 0

        await until(well, timeout_s=60)
    history.read()
    history.close()
    assert (history.added, len(history.contents)) == (FILES, FILES)
    assert caplog.text.count("keeper failed") == 0


@pytest.mark.parametrize("server", ["objects", "catalog"])
async def test_a_server_that_is_slow_slows_the_import_and_nothing_else(house: House, server: str) -> None:
    history = History(house.settings)
    async with behind(house, server) as proxy, house.daemon():
        proxy.latency_s = 0.1
        write(house, 0, FILES // 2)
        await indexed(house, FILES // 2)
    history.read()
    history.close()
    assert history.added == FILES // 2


async def test_a_store_whose_disk_is_full_is_waited_for_until_it_has_room(
    house: House, tmp_path: Path
) -> None:
    server = minio_server(binary("minio"), tmp_path / "small", free_ports(), tmp_path / "minio.log")
    disk = tmp_path / "small" / "data"
    async with mount_namespace() as mounts:
        await mounts.run("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk)
        async with running(replace(server.program, argv=mounts.inside(*server.program.argv))):
            house.settings = house.settings.model_copy(
                update={
                    "s3_endpoint": server.endpoint,
                    "s3_access_key": SecretStr(server.access_key),
                    "s3_secret_key": SecretStr(server.secret_key),
                }
            )
            async with house.daemon() as daemon:
                for number in range(FILES // 2):
                    data = pictures.jpeg(48, 32, seed=number) + os.urandom(1 << 20)
                    (house.root / f"{number:03}.jpg").write_bytes(data)

                async def told() -> bool:
                    _, body = await Pages.of(daemon).ready()
                    return "objects" in body["checks"]["progress"]

                await until(told, timeout_s=60)
                assert 0 < (await house.state()).indexed_count < FILES // 2
                await mounts.run("mount", "-o", "remount,size=512m", disk)
                await indexed(house, FILES // 2)


@asynccontextmanager
async def elsewhere(house: House, uri: str) -> AsyncIterator[House]:
    """The same folder, kept in another MongoDB."""
    settings = house.settings.model_copy(update={"mongo_uri": SecretStr(uri)})
    catalog = Catalog(settings)
    try:
        await catalog.ensure_indexes()
        library = await catalog.libraries.create("Test", str(house.root))
        yield House(house.root, catalog, library, settings)
    finally:
        await catalog.close()


async def until_it_dies(mongod: Killable, uri: str) -> None:
    """A mongod ends where it finds no room for a checkpoint, which it makes when asked to."""
    async with AsyncMongoClient[dict[str, object]](uri, timeoutMS=5_000) as client:

        async def has_died() -> bool:
            with suppress(PyMongoError):
                await client.admin.command("fsync")
            try:
                await asyncio.wait_for(mongod.ended(), 0.2)
            except TimeoutError:
                return False
            return True

        await until(has_died, timeout_s=90)


async def test_a_mongod_that_dies_of_a_full_disk_is_waited_for_until_it_runs_again(
    house: House, tmp_path: Path
) -> None:
    server = mongo_server(binary("mongod"), tmp_path / "small", free_ports(), tmp_path / "mongod.log")
    disk = tmp_path / "small" / "db"
    async with mount_namespace() as mounts:
        await mounts.run("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", disk)
        program = replace(server.program, argv=mounts.inside(*server.program.argv))
        async with running(program) as mongod, elsewhere(house, server.uri) as small:
            async with small.daemon() as daemon:
                write(house, 0, FILES // 2)
                await indexed(small, 5)
                await mounts.run("sh", "-c", f"cat /dev/zero > {disk}/ballast 2> /dev/null || true")
                write(house, FILES // 2, FILES)
                await until_it_dies(mongod, server.uri)

                async def told() -> bool:
                    status, body = await Pages.of(daemon).ready()
                    return status == 503 and "catalog" in body["checks"]["progress"]

                await until(told, timeout_s=60)
                await mounts.run("rm", disk / "ballast")
                await mongod.start()
                await indexed(small, FILES)
            assert len(await small.images()) == FILES
            assert not await small.catalog.recount.verify()
