"""A mongod of our own: a replica set of one, with a key file, on loopback."""

import asyncio
import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from tagify.servers.credentials import remembered, token, write_private
from tagify.servers.ports import accepts
from tagify.servers.process import Program

USER = "tagify"
REPLICA_SET = "rs0"
TRANSACTION_S = 20
"""Longest life of a transaction, in seconds. Ours take fractions of one; MongoDB's default is 60."""

_ALREADY_INITIALIZED = 23
_USER_EXISTS = 51003
_TIMEOUT_MS = 2000


@dataclass(frozen=True, slots=True)
class MongoServer:
    """A mongod to be run, and the URI with its password that services connect by."""

    program: Program
    uri: str


def mongo_server(binary: Path, folder: Path, port: int, log: Path | None) -> MongoServer:
    """How to run mongod on this folder and loopback port. Makes the folder, its key file and password."""
    data = folder / "db"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_file = folder / "keyfile"
    if not key_file.exists():
        write_private(key_file, base64.b64encode(os.urandom(96)).decode())
    password = remembered(folder / "password.json", lambda: {"password": token()})["password"]
    uri = f"mongodb://{USER}:{password}@127.0.0.1:{port}/?directConnection=true&authSource=admin"

    async def ready() -> bool:
        return await accepts(port)

    async def prepare() -> None:
        await _prepare(uri, port, password)

    program = Program(
        name="mongod",
        argv=(str(binary), *_arguments(data, key_file, port)),
        log=log,
        ready=ready,
        prepare=prepare,
        ready_timeout_s=60,
    )
    return MongoServer(program, uri)


def _arguments(data: Path, key_file: Path, port: int) -> list[str]:
    return [
        "--dbpath",
        str(data),
        "--bind_ip",
        "127.0.0.1",
        "--port",
        str(port),
        "--nounixsocket",
        "--replSet",
        REPLICA_SET,
        "--oplogSize",
        "128",
        "--keyFile",
        str(key_file),
        "--wiredTigerCacheSizeGB",
        "0.25",
        # zlib, the third, had a hole (CVE-2025-14847) that versions past their end of life keep.
        "--networkMessageCompressors",
        "snappy,zstd",
        "--quiet",
        "--setParameter",
        "diagnosticDataCollectionEnabled=false",
        # What a killed process leaves open stands in the way of others' writes for as long as this.
        "--setParameter",
        f"transactionLifetimeLimitSeconds={TRANSACTION_S}",
    ]


async def _prepare(uri: str, port: int, password: str) -> None:
    """On the first boot make the replica set and the user; on a new port tell the set of it."""
    async with _client(uri) as client:
        try:
            await client.admin.command("ping")
            await _follow_port(client, port)
        except OperationFailure:
            await _first_boot(port, password)
        await _until_primary(client)


async def _first_boot(port: int, password: str) -> None:
    """By the localhost exception, which ends with the first user."""
    async with _client(f"mongodb://127.0.0.1:{port}/?directConnection=true") as client:
        members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
        try:
            await client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        except OperationFailure as error:
            if error.code != _ALREADY_INITIALIZED:
                raise
        await _until_primary(client)
        try:
            await client.admin.command("createUser", USER, pwd=password, roles=["root"])
        except OperationFailure as error:
            if error.code != _USER_EXISTS:
                raise


async def _follow_port(client: AsyncMongoClient[dict[str, Any]], port: int) -> None:
    """A set remembers its members' ports; one that was taken by another program is replaced."""
    config = (await client.admin.command("replSetGetConfig"))["config"]
    address = f"127.0.0.1:{port}"
    if config["members"][0]["host"] == address:
        return
    config["members"][0]["host"] = address
    config["version"] += 1
    await client.admin.command("replSetReconfig", config, force=True)


async def _until_primary(client: AsyncMongoClient[dict[str, Any]]) -> None:
    while True:
        try:
            if (await client.admin.command("hello")).get("isWritablePrimary"):
                return
        except PyMongoError:
            pass
        await asyncio.sleep(0.05)


def _client(uri: str) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(uri, serverSelectionTimeoutMS=_TIMEOUT_MS, socketTimeoutMS=10_000)
