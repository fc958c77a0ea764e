"""The client of MongoDB and the catalog's repositories."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pymongo
from pymongo import AsyncMongoClient

from tagify.catalog import indexes
from tagify.catalog.change_stream import ChangeStream
from tagify.catalog.database import Database
from tagify.catalog.deletion_queue import DeletionQueue
from tagify.catalog.errors import maps_driver_errors, wait_for_running_calls
from tagify.catalog.images.repository import ImageRepository
from tagify.catalog.leases import LibraryLeases
from tagify.catalog.libraries import LibraryRepository
from tagify.catalog.library_removal import LibraryRemovalSteps
from tagify.catalog.library_status import LibraryStatusWriter
from tagify.catalog.monitoring import CommandMonitor, PoolMonitor, PrimaryMonitor
from tagify.catalog.purge_log import PurgeLog
from tagify.catalog.queries.listing import ImageListing
from tagify.catalog.tags.jobs import TagJobs
from tagify.catalog.tags.repository import TagRepository
from tagify.catalog.tags.verify import CountVerifier
from tagify.catalog.transactions import Transactions
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import Unavailable
from tagify.metrics import Metrics
from tagify.model import LibraryId
from tagify.settings import CommonSettings

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 3.0
"""Maximum wait on close for running calls, and again for the connections, in seconds."""

INDEXES_TIMEOUT_S = 7200.0
"""Deadline of creating indexes, in seconds. With millions of images the deadline of other calls would
abort every attempt."""

HEARTBEAT_MS = 1000
"""Interval of the driver's server monitoring (heartbeat), in milliseconds."""

CONNECT_TIMEOUT_MS = 2000
"""Timeout of connecting, and of a heartbeat, in milliseconds."""

SOCKET_TIMEOUT_MS = 15_000
"""Socket timeout in milliseconds, for operations without a deadline such as the change stream."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Properties of a MongoDB server. `replica_set` is None for a standalone server."""

    version: str
    replica_set: str | None
    writable: bool
    journaled: bool


class Catalog:
    """The catalog of one process. Create it inside the event loop that uses it, and `close` it."""

    def __init__(self, settings: CommonSettings, metrics: Metrics | None = None) -> None:
        milliseconds = int(settings.mongo_timeout_s * 1000)
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            settings.mongo_uri.get_secret_value(),
            appname="tagify",
            tz_aware=True,
            w="majority",
            journal=True,
            timeoutMS=milliseconds,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=min(CONNECT_TIMEOUT_MS, milliseconds),
            heartbeatFrequencyMS=HEARTBEAT_MS,
            socketTimeoutMS=SOCKET_TIMEOUT_MS,
            maxPoolSize=50,
            event_listeners=[
                CommandMonitor(settings.slow_query_ms / 1000, metrics),
                PoolMonitor(metrics),
                PrimaryMonitor(),
            ],
        )
        self._database = Database(self._client, settings.mongo_database)
        transactions = self._transactions = Transactions(self._client)
        self.images = ImageRepository(self._database, transactions)
        self.listing = ImageListing(self._database)
        self.tags = TagRepository(self._database, transactions)
        self.count_verifier = CountVerifier(self._client, self._database, transactions)
        self.tag_jobs = TagJobs(self._database, transactions, self.tags.write_lock)
        self.libraries = LibraryRepository(self._database, transactions)
        self.library_removal = LibraryRemovalSteps(self._database, transactions)
        self.deletion_queue = DeletionQueue(self._database)
        self.purge_log = PurgeLog(self._database)
        self.leases = LibraryLeases(self._database)
        self.change_stream = ChangeStream(self._database)

    def library_status(self, library_id: LibraryId, token: Callable[[], int]) -> LibraryStatusWriter:
        """The writer of a library's status under the lease with this fencing token."""
        return LibraryStatusWriter(self._database, library_id, token)

    @maps_driver_errors
    async def ensure_indexes(self) -> None:
        """Create missing indexes, which may take minutes. Raises Unavailable."""
        with pymongo.timeout(INDEXES_TIMEOUT_S):
            await indexes.create_indexes(self._database, self._transactions)

    @maps_driver_errors
    async def ping(self) -> None:
        """Return if a primary answers. Raises Unavailable."""
        hello = await self._client.admin.command("hello")
        if not hello.get("isWritablePrimary"):
            raise Unavailable("MongoDB answers, but is not a primary")

    @maps_driver_errors
    async def server_info(self) -> ServerInfo:
        """Version and role of the server. Raises Unavailable."""
        hello = await self._client.admin.command("hello")
        build = await self._client.admin.command("buildInfo")
        status = await self._client.admin.command("serverStatus")
        return ServerInfo(
            version=build["version"],
            replica_set=hello.get("setName"),
            writable=bool(hello.get("isWritablePrimary")),
            journaled=bool(status.get("storageEngine", {}).get("persistent")),
        )

    async def close(self) -> None:
        """Close the connections after running calls have ended; waits CLOSE_TIMEOUT_S for each at most."""
        await wait_for_running_calls(CLOSE_TIMEOUT_S)
        closing = asyncio.ensure_future(self._client.close())
        _, pending = await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT_S)
        if pending:
            logger.warning("the connections to MongoDB did not close within %g s", CLOSE_TIMEOUT_S)
            await cancel_and_wait(closing)
