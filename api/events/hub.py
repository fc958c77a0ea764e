"""Event hub: fans out one change stream per process to all clients.

The id of an event is its change-stream token. A client that reconnects with Last-Event-ID misses no
event, even after a restart or at another API process.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import aclosing, contextmanager

from api.events import sse
from api.events.replay import ChangeSource, Replay
from api.events.replay_buffer import ReplayBuffer, SseEvent
from api.events.subscriber import Subscriber
from api.serializers import Serializer
from tagify.catalog import CatalogChange, ChangeKind, ChangeStreamHistoryLost, ResumeToken
from tagify.concurrency.retry import Backoff
from tagify.concurrency.tasks import run_until_first_ends
from tagify.errors import Busy, TagifyError, Unavailable
from tagify.metrics import Metrics

logger = logging.getLogger(__name__)

MAX_EVENTS = 5_000
MAX_BYTES = 8 << 20
"""Capacity of the replay buffer for slow and reconnecting clients: number of events, and their bytes."""

HEARTBEAT_S = 15.0

STREAM_TIMEOUT_S = 10.0
"""How long a new client waits for the change stream to open, in seconds; then it has to reconnect."""

WAKE_DELAY_S = 0.02
WAKE_DELAY_PER_CLIENT_S = 25e-6
"""Debounce: subscribers are woken after a delay that collects more events, since waking 5,000 takes long.
Both in seconds; the delay grows with the number of clients."""

RECONNECT = Backoff(first_s=0.5, longest_s=10.0)
"""Delays before the change stream is opened again."""


class EventHub:
    """Publishes changes of the catalog to all subscribers."""

    def __init__(
        self, changes: ChangeSource, serializer: Serializer, metrics: Metrics, *, max_clients: int
    ) -> None:
        self._changes = changes
        self._serializer = serializer
        self._max_clients = max_clients
        self._buffer = ReplayBuffer(MAX_EVENTS, MAX_BYTES)
        self._stream_open = asyncio.Event()
        self._new_events = asyncio.Event()
        self._wake_timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._clients = 0
        self._failed_at = ""
        """The token after which handling a change failed last."""
        self._replay = Replay(changes, self._buffer, self._to_event)
        self._gauge = metrics.gauge(
            "tagify_api_event_clients", "Clients connected to the event stream.", old="api_event_clients"
        )
        self._gauge.set(0)
        self._dropped_counter = metrics.counter(
            "tagify_api_event_clients_dropped_total",
            "Event streams ended because the client missed events.",
            old="api_event_clients_dropped_total",
        )

    @property
    def head(self) -> str:
        """The token up to which all events are published."""
        return self._buffer.head

    async def run(self) -> None:
        """Follow the change stream until cancelled; reconnect with backoff, resuming at the last token."""
        await run_until_first_ends(self._send_heartbeats(), self._follow_and_reconnect())

    @contextmanager
    def client_slot(self) -> Iterator[None]:
        """Hold one of the `max_clients` slots. Raises Busy when all are in use."""
        if self._clients >= self._max_clients:
            raise Busy(f"all {self._max_clients} event streams are in use", retry_after_s=30)
        self._clients += 1
        self._gauge.set(self._clients)
        try:
            yield
        finally:
            self._clients -= 1
            self._gauge.set(self._clients)

    async def subscribe(self, last_event_id: str | None) -> Subscriber:
        """A subscriber to the events from now on, or after the token `last_event_id`.

        Raises Unavailable or TimeoutError while the change stream is not open: the client should retry.
        """
        async with asyncio.timeout(STREAM_TIMEOUT_S):
            await self._stream_open.wait()
        if last_event_id is None:
            return Subscriber(self, self._buffer.end_position, self.head)
        position = await self._replay.position_after(last_event_id)
        return Subscriber(self, position, self.head if position is None else last_event_id)

    async def read(self, position: int) -> tuple[bytes, int]:
        """The chunk at a position, once there is one, and the next position. Raises PositionExpired."""
        while True:
            chunk, next_position = self._buffer.read(position)
            if chunk or self._closed:
                return chunk, next_position
            await self._new_events.wait()

    def count_dropped(self) -> None:
        """Count a client that missed events and has to reload."""
        self._dropped_counter.add()

    def close(self) -> None:
        """End all clients' streams."""
        self._closed = True
        self._wake_subscribers()

    async def _follow_and_reconnect(self) -> None:
        delays = RECONNECT.delays()
        try:
            while True:
                if await self._follow():
                    delays = RECONNECT.delays()
                self._stream_open.clear()
                await asyncio.sleep(next(delays))
        except Exception:
            self._stream_open.clear()
            self._skip_repeated_failure()
            raise

    def _skip_repeated_failure(self) -> None:
        """After a second failure at the same token do not resume there: that change would fail for ever.

        The clients get a `reload` event, as after any loss of events.
        """
        if self._buffer.head and self._buffer.head == self._failed_at:
            self._buffer.reset("")
            self._wake_subscribers()
        self._failed_at = self._buffer.head

    async def _follow(self) -> bool:
        """Follow the change stream until it fails; returns whether it opened."""
        opened = False
        try:
            async with aclosing(self._changes.follow(self._buffer.head or None)) as stream:
                async for change in stream:
                    self._handle_change(change)
                    opened = True
        except ChangeStreamHistoryLost:
            self._buffer.reset("")
            self._wake_subscribers()
        except Unavailable as error:
            logger.debug("change stream unavailable; MongoDB is down: %s", error)
        except TagifyError as error:
            logger.warning("change stream unavailable; events are delayed: %s", error)
        return opened

    def _handle_change(self, change: CatalogChange | ResumeToken) -> None:
        if not self._buffer.head:
            self._buffer.reset(change.token)
        if isinstance(change, CatalogChange):
            self._publish(self._to_event(change))
        else:
            self._buffer.advance_head(change.token)
        self._stream_open.set()

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            self._publish(SseEvent(self.head, sse.heartbeat(self.head)))

    def _publish(self, event: SseEvent) -> None:
        self._buffer.append(event)
        if self._wake_timer is None:
            delay_s = WAKE_DELAY_S + WAKE_DELAY_PER_CLIENT_S * self._clients
            self._wake_timer = asyncio.get_running_loop().call_later(delay_s, self._wake_subscribers)

    def _wake_subscribers(self) -> None:
        self._wake_timer = None
        waited_for, self._new_events = self._new_events, asyncio.Event()
        waited_for.set()

    def _to_event(self, change: CatalogChange) -> SseEvent:
        return SseEvent(change.token, sse.format_event(change.token, change.kind, self._event_data(change)))

    def _event_data(self, change: CatalogChange) -> dict[str, object]:
        if change.kind is ChangeKind.LIBRARY_CHANGED and change.library:
            return self._serializer.library(change.library)
        if change.kind in (ChangeKind.IMAGE_ADDED, ChangeKind.IMAGE_CHANGED) and change.image:
            return self._serializer.image_event(change.image)
        return {"_id": change.id, "library_id": change.image.library_id if change.image else None}
