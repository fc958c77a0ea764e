"""Transactions, repeated on a conflict, durable on return."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import ConnectionFailure, PyMongoError
from pymongo.read_concern import ReadConcern

T = TypeVar("T")

DURABLE = WriteConcern("majority", j=True)
"""Acknowledged means: in the journal. Without it a kill -9 loses acknowledged writes."""


class Transactions:
    """Runs work in transactions of one client."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        self._client = client
        self._abandoned: list[Mapping[str, Any]] = []

    async def run(self, work: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
        """The result of `work`, which may run several times and must pass on the session it is given."""
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
        """End the transactions of which the server was told no end, for want of an answer.

        It would keep them, and what they have locked, for a minute.
        """
        abandoned, self._abandoned = self._abandoned, []
        try:
            if abandoned:
                await self._client.admin.command("killSessions", abandoned)
        except PyMongoError:
            self._abandoned += abandoned
            raise
