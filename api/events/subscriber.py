"""One client of the event stream."""

from typing import Protocol

from api.events import sse
from api.events.replay_buffer import PositionExpired


class EventSource(Protocol):
    """The hub as subscribers use it."""

    @property
    def head(self) -> str: ...

    async def read(self, position: int) -> tuple[bytes, int]: ...

    def count_dropped(self) -> None: ...


class Subscriber:
    """One client: its position in the replay buffer."""

    __slots__ = ("_position", "_source", "ended", "start_token")

    def __init__(self, source: EventSource, position: int | None, start_token: str) -> None:
        self._source = source
        self._position = position
        self.start_token = start_token
        """The stream starts after this token."""
        self.ended = False
        """Whether the chunk returned last is the end of the stream."""

    async def next_chunk(self) -> bytes:
        """The next chunk, once there is one; empty when the service shuts down."""
        if self._position is None:
            return self.end_with_reload()
        try:
            chunk, self._position = await self._source.read(self._position)
        except PositionExpired:
            return self.end_with_reload()
        self.ended = not chunk
        return chunk

    def end_with_reload(self) -> bytes:
        """End the stream of a client that missed events: the last event tells it to reload."""
        self._source.count_dropped()
        self.ended = True
        return sse.reload_event(self._source.head)
