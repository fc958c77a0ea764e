"""No call of the catalog is without a deadline: watched in every test, whatever it tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from pymongo.monitoring import CommandStartedEvent

from tagify.catalog.monitoring import CommandMonitor

CLEANUP_COMMANDS = {"endSessions", "killCursors"}
"""Commands that end what has been done; nobody waits for their outcome."""


def is_unbounded(command: dict[str, Any]) -> bool:
    """Whether a command goes to the server without a time in which it has to be done.

    What logs in is shown to nobody, and bounded by the connection's own time. A cursor goes on
    under the time that its first command was given.
    """
    name = next(iter(command), "")
    if not name or name in CLEANUP_COMMANDS or "maxTimeMS" in command:
        return False
    return name != "getMore"


@contextmanager
def recorded_unbounded_commands() -> Iterator[list[str]]:
    """The commands without a deadline that catalogs made in this block send, by name."""
    found: list[str] = []

    class Watching(CommandMonitor):
        def started(self, event: CommandStartedEvent) -> None:
            if is_unbounded(dict(event.command)) and not _opens_change_stream(event):
                found.append(f"{event.command_name} {event.command.get(event.command_name)}")
            super().started(event)

    with patch("tagify.catalog.client.CommandMonitor", Watching):
        yield found


def _opens_change_stream(event: CommandStartedEvent) -> bool:
    """Whether it opens the stream of changes, which is bounded by the silence that is waited for."""
    stages = event.command.get("pipeline") or [{}]
    return event.command_name == "aggregate" and "$changeStream" in stages[0]
