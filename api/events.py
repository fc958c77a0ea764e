"""Server-sent events: one change stream in the process, whatever the number of clients.

The id of an event is its place in the stream of changes, so a client that comes back with
Last-Event-ID misses nothing, also after a restart. Who cannot keep up is told to reload.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Protocol

import orjson

from api.items import Items
from tagify.catalog import Change, ChangeKind, ChangesLost
from tagify.errors import TagifyError
from tagify.metrics import Metrics

logger = logging.getLogger(__name__)

QUEUE = 2000
"""Events that wait for a slow client; with more it is told to reload."""

HEARTBEAT_S = 15.0
RETRY_MS = 2000
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0

RELOAD = b"event: reload\ndata: {}\n\n"
HELLO = f"retry: {RETRY_MS}\n\n".encode()
HEARTBEAT = b": still here\n\n"


class Follows(Protocol):
    """A stream of changes, from now or from behind a token; None when it stands and when idle."""

    def follow(self, after: str | None = None) -> AsyncGenerator[Change | None, None]: ...


class Events:
    """Fans the changes out to clients."""

    def __init__(self, changes: Follows, items: Items, metrics: Metrics) -> None:
        self._changes = changes
        self._items = items
        self._clients: set[asyncio.Queue[bytes | None]] = set()
        self._standing = asyncio.Event()
        self._gauge = metrics.gauge("api_event_clients", "Clients that listen for events.")
        self._dropped = metrics.counter("api_event_clients_dropped_total", "Clients that were too slow.")

    async def run(self) -> None:
        """Follow the changes until cancelled; after a fault go on behind the last one."""
        last: str | None = None
        wait = FIRST_WAIT_S
        while True:
            try:
                async with aclosing(self._changes.follow(last)) as stream:
                    async for change in stream:
                        self._standing.set()
                        wait = FIRST_WAIT_S
                        if change is not None:
                            last = change.token
                            self._tell_all(self.event(change))
            except ChangesLost:
                last = None
                self._tell_all(RELOAD)
            except TagifyError as error:
                logger.warning("events wait: %s", error)
            self._standing.clear()
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_S)

    async def listen(self, last: str | None) -> AsyncGenerator[bytes, None]:
        """The events for one client, in the wire's form, from now or from behind `last`, with heartbeats."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE)
        self._clients.add(queue)
        try:
            with self._gauge.held():
                yield HELLO
                async for event in self._missed(last):
                    yield event
                async for event in self._live(queue):
                    yield event
        finally:
            self._clients.discard(queue)

    def close(self) -> None:
        """End all clients' streams."""
        for queue in tuple(self._clients):
            _replace(queue, None)

    def event(self, change: Change) -> bytes:
        """One change in the wire's form."""
        data = orjson.dumps(self._data(change)).decode()
        return f"id: {change.token}\nevent: {change.kind}\ndata: {data}\n\n".encode()

    def _data(self, change: Change) -> dict[str, object]:
        if change.kind is ChangeKind.LIBRARY_CHANGED and change.library:
            return self._items.library(change.library)
        if change.kind in (ChangeKind.IMAGE_ADDED, ChangeKind.IMAGE_CHANGED) and change.image:
            return self._items.item(change.image)
        return {"_id": change.id, "library_id": change.image.library_id if change.image else None}

    async def _missed(self, last: str | None) -> AsyncIterator[bytes]:
        """What happened since `last`, up to where the stream is idle. The live ones may repeat some of it."""
        if last is None:
            return
        started = False
        try:
            async with aclosing(self._changes.follow(last)) as stream:
                async for change in stream:
                    if change is None and started:
                        return
                    started = True
                    if change is not None:
                        yield self.event(change)
        except TagifyError:
            yield RELOAD

    async def _live(self, queue: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    event = await queue.get()
            except TimeoutError:
                yield HEARTBEAT
                continue
            if event is None:
                return
            yield event
            if event is RELOAD:
                return

    def _tell_all(self, event: bytes) -> None:
        for queue in tuple(self._clients):
            if queue.full():
                self._dropped.add()
                _replace(queue, RELOAD)
            else:
                queue.put_nowait(event)


def _replace(queue: asyncio.Queue[bytes | None], event: bytes | None) -> None:
    """Forget what waits, for this."""
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(event)
