"""The embedded servers: closed to anonymous access, durable, intact after a restart on another port."""

from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest

from tagify.catalog import Catalog
from tagify.servers import discovery
from tagify.servers.mongod import mongo_server
from tagify.servers.process import Process, ProcessError
from tagify.servers.s3 import S3Server
from tagify.settings import CommonSettings
from tests.support.ports import free_ports
from tests.support.servers import Servers


async def test_anonymous_access_is_forbidden(s3: S3Server, blobs: object) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/tagify-originals", "/tagify-originals/any"):
            async with session.get(s3.endpoint + path) as response:
                assert response.status == HTTPStatus.FORBIDDEN


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
