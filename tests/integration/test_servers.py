"""The embedded servers: closed to anonymous access, durable, intact after a restart on another port."""

import asyncio
import io
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import minio
import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from tagify.catalog import Catalog
from tagify.servers import discovery
from tagify.servers.mongod import mongo_server
from tagify.servers.process import Process, ProcessError, Program
from tagify.servers.s3 import S3Server
from tagify.servers.seaweedfs import seaweedfs_server
from tagify.servers.tls import load_or_create_certificate
from tagify.settings import CommonSettings
from tests.support.ports import free_ports
from tests.support.servers import Servers, find_binary
from tests.support.waiting import until

UNAUTHORIZED = 13
"""MongoDB's error code."""


@asynccontextmanager
async def running(program: Program) -> AsyncIterator[None]:
    process = await Process.start(program)
    try:
        yield
    finally:
        await process.stop()


async def test_anonymous_access_is_forbidden(s3: S3Server, blobs: object) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/tagify-originals", "/tagify-originals/any"):
            async with session.get(s3.endpoint + path) as response:
                assert response.status == HTTPStatus.FORBIDDEN


SHELL = b"fs.ls /buckets\nfs.rm -rf /buckets/kept\n"


async def weed_shell(port: int, config: Path, **options: Any) -> str:
    """The output of `weed shell` for SHELL within five seconds."""
    shell = await asyncio.create_subprocess_exec(
        str(find_binary("seaweedfs")),
        f"-config_dir={config}",
        "shell",
        f"-master=127.0.0.1:{port + 1}.{port + 2}",
        f"-filer=127.0.0.1:{port + 5}.{port + 6}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd="/",
        **options,
    )
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            return (await shell.communicate(SHELL))[0].decode()
    shell.kill()
    return (await shell.communicate())[0].decode()


def foreign_security(folder: Path) -> str:
    """The configuration of a client with a certificate of its own."""
    pair = load_or_create_certificate(folder)
    for file in (pair.certificate, pair.key):
        file.chmod(0o644)
    return (
        f'[grpc]\nca = "{pair.certificate}"\n[grpc.client]\ncert = "{pair.certificate}"\nkey = "{pair.key}"\n'
    )


async def test_weed_shell_of_another_user_can_neither_list_nor_delete(tmp_path: Path) -> None:
    folder, port = tmp_path / "s3", free_ports()
    server = seaweedfs_server(find_binary("seaweedfs"), folder, port, tmp_path / "log")
    process = await Process.start(server.program)
    bucket = minio.Minio(f"127.0.0.1:{port}", server.access_key, server.secret_key, secure=False)
    bucket.make_bucket("kept")
    bucket.put_object("kept", "a", io.BytesIO(b"bytes"), 5)
    another_user = {"user": "nobody"} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory() as empty:
        os.chmod(empty, 0o755)
        output = await weed_shell(port, Path(empty), env={"HOME": empty}, **another_user)
        assert "kept" not in output
        (Path(empty) / "security.toml").write_text(foreign_security(Path(empty)))
        output = await weed_shell(port, Path(empty), env={"HOME": empty}, **another_user)
        assert "kept" not in output
    assert bucket.get_object("kept", "a").read() == b"bytes"
    assert "kept" in await weed_shell(port, folder / "config")
    await process.stop()


async def test_seaweedfs_prints_errors_only_beside_its_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = await Process.start(
        seaweedfs_server(find_binary("seaweedfs"), tmp_path / "s3", free_ports(), log).program
    )
    warnings = tmp_path / "s3/logs"

    async def has_warned() -> bool:
        return any("WARNING" in file.name for file in warnings.iterdir())

    await until(has_warned, timeout_s=20)
    await process.stop()
    lines = log.read_text(errors="replace").splitlines()
    assert [line for line in lines if line.startswith(("I", "W"))] == []
    assert len(lines) < 60


async def test_mongod_keeps_its_data_on_another_port(tmp_path: Path) -> None:
    binary = discovery.find_mongod()
    first, second = free_ports(), free_ports()
    server = mongo_server(binary, tmp_path / "mongo", first, tmp_path / "log")
    process = await Process.start(server.program)
    catalog = Catalog(CommonSettings(mongo_uri=server.uri))
    await catalog.ensure_indexes()
    library = await catalog.libraries.create("Test", "/srv/test")
    facts = await catalog.server_info()
    assert (facts.replica_set, facts.writable, facts.journaled) == ("rs0", True, True)
    await catalog.close()
    assert await process.stop() == 0
    moved = mongo_server(binary, tmp_path / "mongo", second, tmp_path / "log")
    process = await Process.start(moved.program)
    catalog = Catalog(CommonSettings(mongo_uri=moved.uri))
    assert await catalog.libraries.get(library.id) == library
    await catalog.close()
    await process.stop()


async def test_mongod_requires_authentication(servers: Servers) -> None:
    uri = servers.mongo_uri()
    anonymous_uri = "mongodb://" + uri.partition("@")[2].replace("&authSource=admin", "")
    catalog = Catalog(CommonSettings(mongo_uri=anonymous_uri))
    with pytest.raises(Exception, match="refused"):
        await catalog.libraries.list_all()
    await catalog.close()


async def test_second_mongod_on_a_data_folder_is_refused(tmp_path: Path) -> None:
    binary = discovery.find_mongod()
    server = mongo_server(binary, tmp_path / "mongo", free_ports(), tmp_path / "log")
    process = await Process.start(server.program)
    try:
        other = mongo_server(binary, tmp_path / "mongo", free_ports(), tmp_path / "log2")
        with pytest.raises(ProcessError, match="mongod exited with status 100"):
            await Process.start(other.program)
    finally:
        await process.stop()


async def test_each_service_has_a_mongodb_user_with_the_rights_it_needs(tmp_path: Path) -> None:
    server = mongo_server(
        find_binary("mongod"), tmp_path / "mongo", free_ports(), tmp_path / "log", database="d"
    )
    async with running(server.program):
        async with AsyncMongoClient[Any](server.uri) as admin:
            await admin.d.images.insert_one({"_id": 1})
            await admin.other.images.insert_one({"_id": 1})
        for service, uri in server.service_uris.items():
            async with AsyncMongoClient[Any](uri) as client:
                assert await client.d.images.find_one()
                async with await client.d.watch():
                    pass
                async with client.start_session() as session:
                    await session.client.d.images.find_one(session=session)
                    await client.admin.command("killSessions", [session.session_id])
                if service == "edge":
                    await check_refused(client.d.images.update_one({}, {"$set": {"a": 1}}))
                    await check_refused(client.d.images.drop())
                else:
                    await client.d.images.update_one({}, {"$set": {"a": 1}})
                    await client.d.images.create_index("a")
                await check_refused(client.other.images.find_one())
                await check_refused(client.admin.command("usersInfo", 1))
                await check_refused(client.admin.command("shutdown"))


async def check_refused(call: Awaitable[object]) -> None:
    with pytest.raises(OperationFailure) as caught:
        await call
    assert caught.value.code == UNAUTHORIZED


async def test_a_mongod_of_an_older_release_gets_the_users_at_its_next_start(tmp_path: Path) -> None:
    folder, port = tmp_path / "mongo", free_ports()
    server = mongo_server(find_binary("mongod"), folder, port, tmp_path / "log")
    async with running(server.program), AsyncMongoClient[Any](server.uri) as admin:
        await admin.admin.command("dropUser", "tagify-api")
    (folder / "service-passwords.json").unlink()
    again = mongo_server(find_binary("mongod"), folder, port, tmp_path / "log")
    assert again.service_uris["edge"] != server.service_uris["edge"]
    async with running(again.program):
        for uri in again.service_uris.values():
            async with AsyncMongoClient[Any](uri) as client:
                assert await client.tagify.images.find_one() is None
