"""Detects database commands without a deadline; active in every test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from pymongo.monitoring import CommandStartedEvent

from tagify.catalog.monitoring import CommandMonitor

CLEANUP_COMMANDS = {"endSessions", "killCursors"}
"""Commands that release resources; their result is not awaited."""


def is_unbounded(command: dict[str, Any]) -> bool:
    """Whether a command has no deadline (maxTimeMS).

    Authentication commands are redacted (empty) and bounded by the connection's timeout. A getMore is
    bounded by the deadline of the cursor's first command.
    """
    name = next(iter(command), "")
    if not name or name in CLEANUP_COMMANDS or "maxTimeMS" in command:
        return False
    return name != "getMore"


@contextmanager
def recorded_unbounded_commands() -> Iterator[list[str]]:
    """The commands without a deadline sent by catalogs that are created in this block."""
    commands: list[str] = []

    class RecordingMonitor(CommandMonitor):
        def started(self, event: CommandStartedEvent) -> None:
            if is_unbounded(dict(event.command)) and not _opens_change_stream(event):
                commands.append(f"{event.command_name} {event.command.get(event.command_name)}")
            super().started(event)

    with patch("tagify.catalog.client.CommandMonitor", RecordingMonitor):
        yield commands


def _opens_change_stream(event: CommandStartedEvent) -> bool:
    """Whether the command opens the change stream, which is bounded by maxAwaitTimeMS."""
    stages = event.command.get("pipeline") or [{}]
    return event.command_name == "aggregate" and "$changeStream" in stages[0]
