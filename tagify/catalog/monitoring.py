"""Metrics and slow-query log of MongoDB commands, from the driver's command monitoring events."""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
    TopologyClosedEvent,
    TopologyDescriptionChangedEvent,
    TopologyListener,
    TopologyOpenedEvent,
)

from tagify import waits
from tagify.catalog.database import no_primary
from tagify.concurrency.outage_log import OutageLog
from tagify.logs import fields
from tagify.metrics import Metrics

logger = logging.getLogger(__name__)

MAX_PENDING = 10_000
"""Maximum number of running commands that are tracked."""

MAX_LABELS = 40
"""Maximum number of collection and command names used as metric labels; others become `other`."""

MAX_LOGGED_PER_S = 10
"""Maximum number of slow commands logged per second; all are counted."""

_LOGGED_PARTS = ("filter", "query", "pipeline", "updates", "deletes", "sort", "key")
_MAX_DEPTH = 8


class CommandMonitor(CommandListener):
    """Counts and times the commands of a process, and logs slow ones: their shape without values."""

    def __init__(self, slow_s: float, metrics: Metrics | None = None) -> None:
        metrics = metrics or Metrics()
        self._slow_s = slow_s
        self._pending: dict[int, Mapping[str, Any]] = {}
        self._labels: set[str] = set()
        self._log_second = self._logged = 0
        self._times = metrics.histogram(
            "tagify_mongo_command_seconds", "Duration of MongoDB commands.", old="mongo_command_seconds"
        )
        self._slow = metrics.counter(
            "tagify_mongo_slow_commands_total",
            "MongoDB commands slower than TAGIFY_SLOW_QUERY_MS.",
            old="mongo_slow_commands_total",
        )

    def started(self, event: CommandStartedEvent) -> None:
        """Remember the command until it ends."""
        if len(self._pending) >= MAX_PENDING:
            self._pending.clear()
        self._pending[event.request_id] = event.command

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Record a successful command."""
        self._ended(event, "ok")

    def failed(self, event: CommandFailedEvent) -> None:
        """Record a failed command."""
        self._ended(event, "failed")

    def _ended(self, event: CommandSucceededEvent | CommandFailedEvent, outcome: str) -> None:
        command = self._pending.pop(event.request_id, {})
        name, collection = event.command_name, _collection(event.command_name, command)
        seconds = event.duration_micros / 1_000_000
        waits.record("MongoDB", seconds)
        self._times.observe(
            seconds, command=self._label(name), collection=self._label(collection), outcome=outcome
        )
        # A getMore of the change stream waits for changes, so a long duration is normal.
        if seconds >= self._slow_s and not _is_change_stream(name, command):
            self._slow.add()
            self._log(name, collection, seconds, command)

    def _log(self, name: str, collection: str, seconds: float, command: Mapping[str, Any]) -> None:
        """Log the command, up to MAX_LOGGED_PER_S: logging must not slow down an overloaded process."""
        second = int(time.monotonic())
        if second != self._log_second:
            self._log_second, self._logged = second, 0
        self._logged += 1
        if self._logged <= MAX_LOGGED_PER_S:
            _log(name, collection, seconds, command)

    def _label(self, name: str) -> str:
        if name in self._labels:
            return name
        if len(self._labels) >= MAX_LABELS:
            return "other"
        self._labels.add(name)
        return name


class PoolMonitor(ConnectionPoolListener):
    """Metrics of the driver's connection pool."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        metrics = metrics or Metrics()
        self._connections = metrics.gauge(
            "tagify_mongo_pool_connections", "Connections to MongoDB, by state: open, or in_use of these."
        )
        self._wait = metrics.histogram(
            "tagify_mongo_pool_wait_seconds", "Time that a command waited for a connection."
        )
        self._failures = metrics.counter(
            "tagify_mongo_pool_failures_total",
            "Commands that got no connection, by reason: timeout, connectionError or poolClosed.",
            labelled=True,
        )
        self._open = self._in_use = 0
        self._lock = threading.Lock()

    def _count(self, opened: int = 0, in_use: int = 0) -> None:
        with self._lock:
            self._open += opened
            self._in_use += in_use
            self._connections.set(self._open, state="open")
            self._connections.set(self._in_use, state="in_use")

    def connection_created(self, event: ConnectionCreatedEvent) -> None:  # noqa: ARG002 - the driver's signature
        """Count it."""
        self._count(opened=1)

    def connection_closed(self, event: ConnectionClosedEvent) -> None:  # noqa: ARG002 - the driver's signature
        """Count it."""
        self._count(opened=-1)

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        """Count it, and the wait for it."""
        self._count(in_use=1)
        self._wait.observe(event.duration or 0.0)

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:  # noqa: ARG002 - the driver's signature
        """Count it."""
        self._count(in_use=-1)

    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None:
        """Count it."""
        self._failures.add(reason=event.reason)

    def connection_ready(self, event: ConnectionReadyEvent) -> None:
        """Counted when it was created."""

    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None:
        """Its end has the duration."""

    def pool_created(self, event: PoolCreatedEvent) -> None:
        """Not counted."""

    def pool_ready(self, event: PoolReadyEvent) -> None:
        """Not counted."""

    def pool_cleared(self, event: PoolClearedEvent) -> None:
        """Its connections are closed, and counted then."""

    def pool_closed(self, event: PoolClosedEvent) -> None:
        """Its connections are closed, and counted then."""


class PrimaryMonitor(TopologyListener):
    """Logs when MongoDB becomes unavailable for writes, and when it is back, from the driver's heartbeats."""

    def __init__(self) -> None:
        self._outage = OutageLog("MongoDB", settle_s=0)

    def opened(self, event: TopologyOpenedEvent) -> None:
        """Nothing is known yet."""

    def description_changed(self, event: TopologyDescriptionChangedEvent) -> None:
        """Record whether there is a primary."""
        topology = event.new_description
        if not topology.server_descriptions():
            return  # the client is closing
        if topology.has_writable_server():
            self._outage.succeeded()
        elif no_primary(topology):
            servers = topology.server_descriptions().values()
            errors = (type(server.error).__name__ for server in servers if server.error)
            self._outage.failed(next(errors, "no server accepts writes"))

    def closed(self, event: TopologyClosedEvent) -> None:
        """The client closes."""


def query_shape(value: object, depth: int = 0) -> object:
    """A query without its values: `{"tags": {"$in": ["sea", "sun"]}}` is `{"tags": {"$in": "2 x ?"}}`."""
    if depth == _MAX_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {str(name): query_shape(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], Mapping):
            first = query_shape(value[0], depth + 1)
            return [first] if len(value) == 1 else [first, f"{len(value) - 1} more"]
        return f"{len(value)} x ?"
    return "?"


def _pipeline(stages: object) -> object:
    return [query_shape(stage) for stage in stages] if isinstance(stages, list) else query_shape(stages)


def _log(name: str, collection: str, seconds: float, command: Mapping[str, Any]) -> None:
    query = {
        part: _pipeline(command[part]) if part == "pipeline" else query_shape(command[part])
        for part in _LOGGED_PARTS
        if part in command
    }
    logger.warning(
        "slow query",
        extra=fields(command=name, collection=collection, ms=round(seconds * 1000), shape=query),
    )


def _collection(name: str, command: Mapping[str, Any]) -> str:
    collection = command.get("collection") if name == "getMore" else command.get(name)
    return collection if isinstance(collection, str) else "none"


def _is_change_stream(name: str, command: Mapping[str, Any]) -> bool:
    return name == "getMore" and command.get("collection") == "$cmd.aggregate"
