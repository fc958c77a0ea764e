"""The result of one check."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """`warning`: works, with a limitation or only for now. `error`: does not work."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `fix` is the command or action if the level is not ok."""

    level: Level
    message: str
    fix: str = ""

    def line(self) -> str:
        """Format the finding as printed, the fix on a line of its own."""
        return f"{self.level:8}{self.message}" + (f"\n        → {self.fix}" if self.fix else "")


def ok(message: str) -> Finding:
    """A check that passed."""
    return Finding(Level.OK, message)


def warning(message: str, fix: str) -> Finding:
    """A check that passed with a limitation."""
    return Finding(Level.WARNING, message, fix)


def error(message: str, fix: str) -> Finding:
    """A check that failed."""
    return Finding(Level.ERROR, message, fix)
