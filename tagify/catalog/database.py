"""The database handle of the catalog, and a fast check for an available primary."""

import asyncio
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.server_type import SERVER_TYPE
from pymongo.topology_description import TopologyDescription

from tagify.errors import Unavailable

PRIMARY_GRACE_S = 1.0
"""Time to wait for a primary that has just disappeared, in seconds: it may be back in a moment."""

POLL_S = 0.02


class ServerAvailability:
    """Whether MongoDB has a primary, from the driver's monitor, without a request.

    Without this check each request would wait for its whole deadline while the server is down.
    """

    def __init__(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        self._client = client
        self._down_since: float | None = None

    async def require_primary(self) -> None:
        """Return if there is a primary, or the monitor has not reported yet. Raises Unavailable."""
        while no_primary(self._client.topology_description):
            now = asyncio.get_running_loop().time()
            if self._down_since is None:
                self._down_since = now
            if now - self._down_since >= PRIMARY_GRACE_S:
                raise Unavailable("MongoDB is down or has no primary")
            await asyncio.sleep(POLL_S)
        self._down_since = None


class Database(AsyncDatabase[dict[str, Any]]):
    """The driver's database with an availability check."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], name: str) -> None:
        super().__init__(client, name)
        self.availability = ServerAvailability(client)


def no_primary(topology: TopologyDescription) -> bool:
    """Whether the monitor has checked all servers and none accepts writes."""
    if topology.has_writable_server():
        return False
    return all(
        server.error is not None or server.server_type != SERVER_TYPE.Unknown
        for server in topology.server_descriptions().values()
    )
