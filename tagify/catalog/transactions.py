"""Transactions: retried on write conflicts, durable on return."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import ConnectionFailure, PyMongoError
from pymongo.read_concern import ReadConcern

T = TypeVar("T")

DURABLE = WriteConcern("majority", j=True)
"""Acknowledge after the write is in the journal; otherwise kill -9 loses acknowledged writes."""


class Transactions:
    """Runs functions in transactions of one client."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        self._client = client
        self._abandoned: list[Mapping[str, Any]] = []

    async def run(self, work: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
        """The result of `work`, which may run several times and must use the session it gets."""
        await self._end_abandoned()
        async with self._client.start_session() as session:
            try:
                return await session.with_transaction(
                    work, read_concern=ReadConcern("snapshot"), write_concern=DURABLE
                )
            except PyMongoError as error:
                if error.timeout or isinstance(error, ConnectionFailure):
                    self._abandoned.append(session.session_id)
                raise

    async def _end_abandoned(self) -> None:
        """Abort transactions whose commit or abort got no answer.

        The server would otherwise keep them open, with their locks, for a minute.
        """
        abandoned, self._abandoned = self._abandoned, []
        try:
            if abandoned:
                await self._client.admin.command("killSessions", abandoned)
        except PyMongoError:
            self._abandoned += abandoned
            raise
