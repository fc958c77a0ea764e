"""Replay for reconnecting clients: loads events from before the replay buffer's floor."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from api.events.replay_buffer import ReplayBuffer, SseEvent
from api.events.sse import is_token
from tagify.catalog import CatalogChange, CatalogError, ChangeStreamHistoryLost, ResumeToken

REPLAY_TIMEOUT_S = 5.0
"""Timeout for reading missed events from the change stream, in seconds."""

LOCK_TIMEOUT_S = 10.0
"""Timeout for waiting for the replays of other clients, in seconds."""

MAX_REPLAYED = 2_000
"""Maximum number of replayed events: with more, a reload is faster for the client."""


class ChangeSource(Protocol):
    """A change stream, from now or after a token."""

    def follow(self, after: str | None = None) -> AsyncGenerator[CatalogChange | ResumeToken, None]: ...


class Replay:
    """Finds the position at which a client resumes, and loads missed events into the replay buffer.

    At most one change stream is open for this: after a restart thousands of clients resume from the
    same few tokens.
    """

    def __init__(
        self, changes: ChangeSource, buffer: ReplayBuffer, to_event: Callable[[CatalogChange], SseEvent]
    ) -> None:
        self._changes = changes
        self._buffer = buffer
        self._to_event = to_event
        self._lock = asyncio.Lock()
        self._newest_lost_token = ""

    async def position_after(self, token: str) -> int | None:
        """The position after the token; None when the events after it are lost.

        Raises TimeoutError or Unavailable: the client should retry.
        """
        if not is_token(token):
            return None
        position = self._buffer.position_after(token)
        if position is not None:
            return position
        async with asyncio.timeout(LOCK_TIMEOUT_S), self._lock:
            if self._buffer.position_after(token) is None and token > self._newest_lost_token:
                await self._load_missed(token)
        return self._buffer.position_after(token)

    async def _load_missed(self, token: str) -> None:
        floor = self._buffer.floor
        try:
            async with asyncio.timeout(REPLAY_TIMEOUT_S):
                missed = await self._events_between(token, floor)
        except CatalogError:
            return  # an invalid token: says nothing about other tokens
        except (ChangeStreamHistoryLost, TimeoutError):
            missed = None
        if missed is None:
            self._newest_lost_token = max(self._newest_lost_token, token)
        elif floor == self._buffer.floor:
            self._buffer.prepend(missed, token)

    async def _events_between(self, token: str, floor: str) -> list[SseEvent] | None:
        """The events after the token, up to the floor; None when there are more than MAX_REPLAYED."""
        missed: list[SseEvent] = []
        async with aclosing(self._changes.follow(token)) as stream:
            async for change in stream:
                if isinstance(change, CatalogChange) and change.token <= floor:
                    missed.append(self._to_event(change))
                # Without writes, the oplog may not have reached the floor yet: an idle mark ends the replay.
                if change.token >= floor or (isinstance(change, ResumeToken) and change.idle):
                    break
                if len(missed) > MAX_REPLAYED:
                    return None
        return missed
