"""One change stream in the process, whatever the number of clients.

The id of an event is its token in the stream of changes, so a client that comes back with
Last-Event-ID misses nothing, also after a restart or at another process of the API.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import aclosing, contextmanager

from api.events import sse
from api.events.replay import Follows, Past
from api.events.replay_buffer import Backlog, Event
from api.events.subscriber import Reader
from api.serializers import Items
from tagify.catalog import CatalogChange, ChangeKind, ChangeStreamHistoryLost, ResumeToken
from tagify.concurrency.retry import Backoff
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import Busy, TagifyError
from tagify.metrics import Metrics

logger = logging.getLogger(__name__)

MAX_EVENTS = 5_000
MAX_BYTES = 8 << 20
"""What is held for slow clients and for those that come back: events, and bytes of them."""

HEARTBEAT_S = 15.0

STANDING_S = 10.0
"""A client waits so long for the stream of changes to stand, in seconds; then it has to come again."""

PAUSE_S = 0.02
PAUSE_PER_CLIENT_S = 25e-6
"""Clients are woken after a pause, in which more events come together: waking 5,000 takes a while."""

RECONNECT = Backoff(first_s=0.5, longest_s=10.0)
"""Delays before the change stream is opened again."""


class Events:
    """Tells all clients what changes in the catalog."""

    def __init__(self, changes: Follows, items: Items, metrics: Metrics, *, max_clients: int) -> None:
        self._changes = changes
        self._items = items
        self._max_clients = max_clients
        self._backlog = Backlog(MAX_EVENTS, MAX_BYTES)
        self._standing = asyncio.Event()
        self._news = asyncio.Event()
        self._waking: asyncio.TimerHandle | None = None
        self._closed = False
        self._clients = 0
        self._past = Past(changes, self._backlog, self._event)
        self._gauge = metrics.gauge("api_event_clients", "Clients that listen for events.")
        self._gauge.set(0)
        self._dropped = metrics.counter("api_event_clients_dropped_total", "Clients told to reload.")

    @property
    def head(self) -> str:
        """The token up to which all has been told."""
        return self._backlog.head

    async def run(self) -> None:
        """Follow the changes until cancelled; after a fault go on behind the last one."""
        beating = asyncio.create_task(self._beat())
        try:
            delays = RECONNECT.delays()
            while True:
                if await self._follow():
                    delays = RECONNECT.delays()
                self._standing.clear()
                await asyncio.sleep(next(delays))
        finally:
            await cancel_and_wait(beating)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A client's visit. Raises Busy when there are too many already."""
        if self._clients >= self._max_clients:
            raise Busy(f"{self._max_clients} clients listen already", retry_after_s=30)
        self._clients += 1
        self._gauge.set(self._clients)
        try:
            yield
        finally:
            self._clients -= 1
            self._gauge.set(self._clients)

    async def reader(self, last: str | None) -> Reader:
        """A reader of what happens from now on, or behind the token `last`.

        Raises Unavailable or TimeoutError when the stream of changes does not stand: to come again helps.
        """
        async with asyncio.timeout(STANDING_S):
            await self._standing.wait()
        place = self._backlog.end if last is None else await self._past.place_behind(last)
        return Reader(self, place, self.head if last is None or place is None else last)

    async def read(self, place: int) -> tuple[bytes, int]:
        """What is told at a place, once there is something, and the place behind it. Raises Overtaken."""
        while True:
            chunk, behind = self._backlog.read(place)
            if chunk or self._closed:
                return chunk, behind
            await self._news.wait()

    def drop(self) -> None:
        """Count a client that cannot be told all."""
        self._dropped.add()

    def close(self) -> None:
        """End all clients' streams."""
        self._closed = True
        self._wake()

    async def _follow(self) -> bool:
        """Follow the changes for as long as it goes; whether it went at all."""
        stood = False
        try:
            async with aclosing(self._changes.follow(self._backlog.head or None)) as stream:
                async for change in stream:
                    self._note(change)
                    stood = True
        except ChangeStreamHistoryLost:
            self._backlog.start("")
            self._wake()
        except TagifyError as error:
            logger.warning("events wait: %s", error)
        return stood

    def _note(self, change: CatalogChange | ResumeToken) -> None:
        if not self._backlog.head:
            self._backlog.start(change.token)
        if isinstance(change, CatalogChange):
            self._tell(self._event(change))
        else:
            self._backlog.mark(change.token)
        self._standing.set()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            self._tell(Event(self.head, sse.heartbeat(self.head)))

    def _tell(self, event: Event) -> None:
        self._backlog.append(event)
        if self._waking is None:
            pause = PAUSE_S + PAUSE_PER_CLIENT_S * self._clients
            self._waking = asyncio.get_running_loop().call_later(pause, self._wake)

    def _wake(self) -> None:
        self._waking = None
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _event(self, change: CatalogChange) -> Event:
        return Event(change.token, sse.event(change.token, change.kind, self._data(change)))

    def _data(self, change: CatalogChange) -> dict[str, object]:
        if change.kind is ChangeKind.LIBRARY_CHANGED and change.library:
            return self._items.library(change.library)
        if change.kind in (ChangeKind.IMAGE_ADDED, ChangeKind.IMAGE_CHANGED) and change.image:
            return self._items.item(change.image)
        return {"_id": change.id, "library_id": change.image.library_id if change.image else None}
