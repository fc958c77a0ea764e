"""For clients that come back: what happened before the backlog begins."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from api.events.replay_buffer import Backlog, Event
from api.events.sse import is_token
from tagify.catalog import CatalogChange, CatalogError, ChangeStreamHistoryLost, ResumeToken

REACH_BACK_S = 5.0
"""Longest search in the past, in seconds."""

WAIT_S = 10.0
"""Longest wait for the searches of others, in seconds."""

MOST = 2_000
"""Events that are caught up with, at most: to be told of more takes longer than to ask for all again."""


class Follows(Protocol):
    """A stream of changes, from now or from behind a token."""

    def follow(self, after: str | None = None) -> AsyncGenerator[CatalogChange | ResumeToken, None]: ...


class Past:
    """Finds the place where a client goes on, and brings what it missed into the backlog, once for all.

    At most one stream is open for it: after a restart thousands come back to the same few tokens.
    """

    def __init__(self, changes: Follows, backlog: Backlog, event: Callable[[CatalogChange], Event]) -> None:
        self._changes = changes
        self._backlog = backlog
        self._event = event
        self._one = asyncio.Lock()
        self._lost = ""

    async def place_behind(self, token: str) -> int | None:
        """The place of what comes behind the token; None where that cannot be told any more.

        Raises TimeoutError, Unavailable: to come again helps.
        """
        if not is_token(token):
            return None
        place = self._backlog.place_behind(token)
        if place is not None:
            return place
        async with asyncio.timeout(WAIT_S), self._one:
            if self._backlog.place_behind(token) is None and token > self._lost:
                await self._reach_back(token)
        return self._backlog.place_behind(token)

    async def _reach_back(self, token: str) -> None:
        floor = self._backlog.floor
        try:
            async with asyncio.timeout(REACH_BACK_S):
                missed = await self._between(token, floor)
        except CatalogError:
            return  # no token at all; it tells nothing of others
        except (ChangeStreamHistoryLost, TimeoutError):
            missed = None
        if missed is None:
            self._lost = max(self._lost, token)
        elif floor == self._backlog.floor:
            self._backlog.reach_back(missed, token)

    async def _between(self, token: str, floor: str) -> list[Event] | None:
        """The events behind the token, up to the floor; None when there are too many."""
        missed: list[Event] = []
        async with aclosing(self._changes.follow(token)) as stream:
            async for change in stream:
                if isinstance(change, CatalogChange) and change.token <= floor:
                    missed.append(self._event(change))
                # While nothing is written the floor may be a moment that the server's log has not reached.
                if change.token >= floor or (isinstance(change, ResumeToken) and change.idle):
                    break
                if len(missed) > MOST:
                    return None
        return missed
