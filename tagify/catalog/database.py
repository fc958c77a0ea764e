"""The database that the catalog's rooms work on, and whether there is a server to ask."""

import asyncio
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.server_type import SERVER_TYPE
from pymongo.topology_description import TopologyDescription

from tagify.errors import Unavailable

PRIMARY_GRACE_S = 1.0
"""A server that has just gone may be back in a moment: so long it is waited for, in seconds."""

POLL_S = 0.02


class ServerAvailability:
    """Whether MongoDB has a primary, as the driver's monitor knows without asking.

    Without it each request would wait its whole deadline for a server that is known to be away.
    """

    def __init__(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        self._client = client
        self._gone_since: float | None = None

    async def require_primary(self) -> None:
        """Return where there is a primary, or nobody has looked yet. Raises Unavailable."""
        while _none_found(self._client.topology_description):
            now = asyncio.get_running_loop().time()
            if self._gone_since is None:
                self._gone_since = now
            if now - self._gone_since >= PRIMARY_GRACE_S:
                raise Unavailable("MongoDB is away or has no primary")
            await asyncio.sleep(POLL_S)
        self._gone_since = None


class Database(AsyncDatabase[dict[str, Any]]):
    """A database that knows whether its server is there."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], name: str) -> None:
        super().__init__(client, name)
        self.availability = ServerAvailability(client)


def _none_found(servers: TopologyDescription) -> bool:
    """Whether all servers have been looked at, and none of them takes writes."""
    if servers.has_writable_server():
        return False
    return all(
        server.error is not None or server.server_type != SERVER_TYPE.Unknown
        for server in servers.server_descriptions().values()
    )
