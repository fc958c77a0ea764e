"""Real servers for a test run: each started once, on first use, and stopped at the end."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
from pymongo import AsyncMongoClient

from tagify.servers import discovery
from tagify.servers.minio import minio_server
from tagify.servers.mongod import mongo_server
from tagify.servers.process import Process, Program
from tagify.servers.s3 import S3Server
from tagify.servers.seaweedfs import seaweedfs_server
from tests.support.ports import free_ports

T = TypeVar("T")


class BackgroundLoop:
    """An event loop in a background thread, which owns the child processes during the whole run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="servers", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Schedule a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run_sync(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return its result, within 90 s."""
        return self.submit(work).result(90)

    def close(self) -> None:
        """Stop the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Servers:
    """The servers of a test run, started on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = BackgroundLoop()
        self._running: list[Process] = []
        self._mongo: AsyncMongoClient[dict[str, Any]] | None = None
        self._mongo_uri: str | None = None
        self._pending_drops: list[Future[None]] = []
        self._s3: dict[str, S3Server] = {}

    def mongo_uri(self) -> str:
        """The URI of the mongod."""
        if self._mongo_uri is None:
            server = mongo_server(
                find_binary("mongod"), self._folder / "mongo", free_ports(), self._log_path("mongod")
            )
            self._start(server.program)
            self._mongo_uri = server.uri
        return self._mongo_uri

    def drop_database(self, database: str) -> None:
        """Schedule the drop of a database. Asynchronous, since mongod needs a tenth of a second for it."""
        self._pending_drops.append(self._loop.submit(self._drop_database(database)))

    def s3(self, kind: str) -> S3Server:
        """An S3 server of kind `minio` or `seaweedfs`."""
        if kind not in self._s3:
            make = minio_server if kind == "minio" else seaweedfs_server
            server = make(find_binary(kind), self._folder / kind, free_ports(), self._log_path(kind))
            self._start(server.program)
            self._s3[kind] = server
        return self._s3[kind]

    def pids(self) -> list[int]:
        """The process ids of the started servers."""
        return [process.pid for process in self._running]

    def close(self) -> None:
        """Stop all servers. Raises the error of a failed drop."""
        try:
            self._loop.run_sync(self._finish_drops())
        finally:
            self._stop_processes()

    async def _drop_database(self, database: str) -> None:
        if self._mongo is None:
            self._mongo = AsyncMongoClient(self.mongo_uri())
        await self._mongo.drop_database(database)

    async def _finish_drops(self) -> None:
        await asyncio.gather(*map(asyncio.wrap_future, self._pending_drops))
        if self._mongo is not None:
            await self._mongo.close()

    def _stop_processes(self) -> None:
        for process in reversed(self._running):
            self._loop.run_sync(process.stop())
        self._loop.close()

    def _start(self, program: Program) -> None:
        self._running.append(self._loop.run_sync(Process.start(program)))

    def _log_path(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def find_binary(kind: str) -> Path:
    """Return the binary of a server; fails or skips the test if it is not installed."""
    finders = {
        "mongod": discovery.find_mongod,
        "minio": discovery.find_minio,
        "seaweedfs": discovery.find_seaweedfs,
    }
    try:
        binary = finders[kind]()
    except discovery.ServerNotFound as error:
        skip_or_fail(kind, str(error))
    if binary is None:
        skip_or_fail(kind, "make minio" if kind == "minio" else discovery.EMBEDDED)
    return binary


def skip_or_fail(what: str, remedy: str) -> NoReturn:
    """Fail the test under CI, skip it elsewhere: a program it needs is not installed."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing: {remedy}")
    pytest.skip(f"{what} is missing: {remedy}")
