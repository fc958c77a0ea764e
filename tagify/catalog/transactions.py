"""Transactions, repeated on a conflict, durable on return."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.read_concern import ReadConcern

T = TypeVar("T")

DURABLE = WriteConcern("majority", j=True)
"""Acknowledged means: in the journal. Without it a kill -9 loses acknowledged writes."""


class Transactions:
    """Runs work in transactions of one client."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        self._client = client

    async def run(self, work: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
        """The result of `work`, which may run several times and must pass on the session it is given."""
        async with self._client.start_session() as session:
            return await session.with_transaction(
                work, read_concern=ReadConcern("snapshot"), write_concern=DURABLE
            )
