"""One client of the events."""

from typing import Protocol

from api.events import sse
from api.events.replay_buffer import Overtaken


class Source(Protocol):
    """Where readers read. `drop` counts one that cannot be told all."""

    @property
    def head(self) -> str: ...

    async def read(self, place: int) -> tuple[bytes, int]: ...

    def drop(self) -> None: ...


class Reader:
    """One client: a place in the backlog, and what it is told next."""

    __slots__ = ("_place", "_source", "ended", "token")

    def __init__(self, source: Source, place: int | None, token: str) -> None:
        self._source = source
        self._place = place
        self.token = token
        """Behind this one it begins."""
        self.ended = False
        """Whether there is nothing more to come behind what `next` gave last."""

    async def next(self) -> bytes:
        """What is to be written next; empty when the service stops."""
        if self._place is None:
            return self.give_up()
        try:
            chunk, self._place = await self._source.read(self._place)
        except Overtaken:
            return self.give_up()
        self.ended = not chunk
        return chunk

    def give_up(self) -> bytes:
        """The end of the stream for a client that cannot be told all: it shall ask for everything again."""
        self._source.drop()
        self.ended = True
        return sse.reload(self._source.head)
