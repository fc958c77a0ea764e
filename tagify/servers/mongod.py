"""Embedded mongod: a replica set of one member with a key file, on loopback."""

import asyncio
import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from tagify.servers.credentials import generate_password, load_or_create, write_private_file
from tagify.servers.ports import accepts_connections
from tagify.servers.process import Program

USER = "tagify"
SERVICE_ROLES = {"ingest": "readWrite", "api": "readWrite", "edge": "read"}
"""The role of each service's user in Tagify's database. It has no right in any other database."""

REPLICA_SET = "rs0"
TRANSACTION_LIFETIME_S = 20
"""Maximum lifetime of a transaction, in seconds. Ours take fractions of a second; MongoDB's default is 60."""

_ALREADY_INITIALIZED = 23
_USER_EXISTS = 51003
_USER_NOT_FOUND = 11
_TIMEOUT_MS = 2000


@dataclass(frozen=True, slots=True)
class MongoServer:
    """A mongod's program, and its connection URIs with their passwords.

    `uri` is the administrator's; `service_uris` has the one of each service, by the service's name.
    """

    program: Program
    uri: str
    service_uris: Mapping[str, str]


def mongo_server(
    binary: Path, folder: Path, port: int, log: Path | None, *, database: str = "tagify"
) -> MongoServer:
    """Return mongod's program for this folder and loopback port; its services use this database.

    Creates the folder, its key file and passwords.
    """
    data = folder / "db"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_file = folder / "keyfile"
    if not key_file.exists():
        write_private_file(key_file, base64.b64encode(os.urandom(96)).decode())
    password = load_or_create(folder / "password.json", lambda: {"password": generate_password()})["password"]
    passwords = load_or_create(
        folder / "service-passwords.json", lambda: {name: generate_password() for name in SERVICE_ROLES}
    )
    uri = _uri(USER, password, port)

    async def ready() -> bool:
        return await accepts_connections(port)

    async def post_start() -> None:
        await _initialize(uri, port, password)
        await _create_service_users(uri, database, passwords)

    program = Program(
        name="mongod",
        argv=(str(binary), *_arguments(data, key_file, port)),
        log=log,
        ready=ready,
        post_start=post_start,
        ready_timeout_s=60,
    )
    return MongoServer(
        program, uri, {name: _uri(_service_user(name), passwords[name], port) for name in SERVICE_ROLES}
    )


def _uri(user: str, password: str, port: int) -> str:
    return f"mongodb://{user}:{password}@127.0.0.1:{port}/?directConnection=true&authSource=admin"


def _service_user(service: str) -> str:
    return f"{USER}-{service}"


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
        # Not zlib, the third: end-of-life versions are still vulnerable to CVE-2025-14847.
        "--networkMessageCompressors",
        "snappy,zstd",
        "--quiet",
        "--setParameter",
        "diagnosticDataCollectionEnabled=false",
        # A transaction left open by a killed process blocks other writes until this expires.
        "--setParameter",
        f"transactionLifetimeLimitSeconds={TRANSACTION_LIFETIME_S}",
    ]


async def _initialize(uri: str, port: int, password: str) -> None:
    """Create the replica set and the user at the first start; update the member's port if it changed."""
    async with _client(uri) as client:
        try:
            await client.admin.command("ping")
            await _update_member_port(client, port)
        except OperationFailure:
            await _bootstrap(port, password)
        await _wait_for_primary(client)


async def _bootstrap(port: int, password: str) -> None:
    """Create the replica set and the user, through the localhost exception (it ends with the first user)."""
    async with _client(f"mongodb://127.0.0.1:{port}/?directConnection=true") as client:
        members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
        try:
            await client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        except OperationFailure as error:
            if error.code != _ALREADY_INITIALIZED:
                raise
        await _wait_for_primary(client)
        try:
            await client.admin.command("createUser", USER, pwd=password, roles=["root"])
        except OperationFailure as error:
            if error.code != _USER_EXISTS:
                raise


async def _create_service_users(uri: str, database: str, passwords: Mapping[str, str]) -> None:
    """Create the users of the services, or set their passwords and roles."""
    async with _client(uri) as client:
        for service, role in SERVICE_ROLES.items():
            options: dict[str, Any] = {"pwd": passwords[service], "roles": [{"role": role, "db": database}]}
            try:
                await client.admin.command("updateUser", _service_user(service), **options)
            except OperationFailure as error:
                if error.code != _USER_NOT_FOUND:
                    raise
                await client.admin.command("createUser", _service_user(service), **options)


async def _update_member_port(client: AsyncMongoClient[dict[str, Any]], port: int) -> None:
    """Reconfigure the replica set if this start uses another port than the one it has stored."""
    config = (await client.admin.command("replSetGetConfig"))["config"]
    address = f"127.0.0.1:{port}"
    if config["members"][0]["host"] == address:
        return
    config["members"][0]["host"] = address
    config["version"] += 1
    await client.admin.command("replSetReconfig", config, force=True)


async def _wait_for_primary(client: AsyncMongoClient[dict[str, Any]]) -> None:
    while True:
        try:
            if (await client.admin.command("hello")).get("isWritablePrimary"):
                return
        except PyMongoError:
            pass
        await asyncio.sleep(0.05)


def _client(uri: str) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(uri, serverSelectionTimeoutMS=_TIMEOUT_MS, socketTimeoutMS=10_000)
