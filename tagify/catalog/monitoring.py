"""What MongoDB is asked, how long it takes, and which questions are slow: by the driver's own reports."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from tagify.logs import fields
from tagify.metrics import Metrics

logger = logging.getLogger(__name__)

MAX_PENDING = 10_000
"""Commands under way that are remembered, at most."""

MAX_LABELS = 40
"""Collections and commands that get a series of their own, at most; all others share one."""

MAX_LOGGED_PER_S = 10
"""Slow commands that are logged in one second, at most; all are counted."""

_ASKS = ("filter", "query", "pipeline", "updates", "deletes", "sort", "key")
_DEEPEST = 8


class CommandMonitor(CommandListener):
    """Counts and times the commands of a process, and logs the slow ones: their shape, never a value."""

    def __init__(self, slow_s: float, metrics: Metrics | None = None) -> None:
        metrics = metrics or Metrics()
        self._slow_s = slow_s
        self._open: dict[int, Mapping[str, Any]] = {}
        self._names: set[str] = set()
        self._logging = self._logged = 0
        self._times = metrics.histogram("mongo_command_seconds", "Time of MongoDB's commands.")
        self._slow = metrics.counter("mongo_slow_commands_total", "Commands that took too long.")

    def started(self, event: CommandStartedEvent) -> None:
        """Remember what is asked."""
        if len(self._open) >= MAX_PENDING:
            self._open.clear()
        self._open[event.request_id] = event.command

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Count it."""
        self._ended(event, "ok")

    def failed(self, event: CommandFailedEvent) -> None:
        """Count it."""
        self._ended(event, "failed")

    def _ended(self, event: CommandSucceededEvent | CommandFailedEvent, outcome: str) -> None:
        command = self._open.pop(event.request_id, {})
        name, collection = event.command_name, _collection(event.command_name, command)
        seconds = event.duration_micros / 1_000_000
        self._times.observe(
            seconds, command=self._bounded(name), collection=self._bounded(collection), outcome=outcome
        )
        # The stream of changes is asked to wait; that it does is no sign of trouble.
        if seconds >= self._slow_s and not _waits(name, command):
            self._slow.add()
            self._log(name, collection, seconds, command)

    def _log(self, name: str, collection: str, seconds: float, command: Mapping[str, Any]) -> None:
        """Log it, unless many have been: where all is slow, writing it down must not make it slower."""
        second = int(time.monotonic())
        if second != self._logging:
            self._logging, self._logged = second, 0
        self._logged += 1
        if self._logged <= MAX_LOGGED_PER_S:
            _log(name, collection, seconds, command)

    def _bounded(self, name: str) -> str:
        if name in self._names:
            return name
        if len(self._names) >= MAX_LABELS:
            return "other"
        self._names.add(name)
        return name


def query_shape(value: object, depth: int = 0) -> object:
    """A question without its values: `{"tags": {"$in": ["sea", "sun"]}}` is `{"tags": {"$in": "2 x ?"}}`."""
    if depth == _DEEPEST:
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
    asked = {
        part: _pipeline(command[part]) if part == "pipeline" else query_shape(command[part])
        for part in _ASKS
        if part in command
    }
    logger.warning(
        "slow query",
        extra=fields(command=name, collection=collection, ms=round(seconds * 1000), shape=asked),
    )


def _collection(name: str, command: Mapping[str, Any]) -> str:
    found = command.get("collection") if name == "getMore" else command.get(name)
    return found if isinstance(found, str) else "none"


def _waits(name: str, command: Mapping[str, Any]) -> bool:
    return name == "getMore" and command.get("collection") == "$cmd.aggregate"
