"""What one look found."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """`warning`: works, but not as well or as long as it could. `error`: does not work."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `fix` says what to do where the level is not ok."""

    level: Level
    message: str
    fix: str = ""

    def line(self) -> str:
        """The line as it is printed."""
        return f"{self.level:8}{self.message}" + (f"\n        → {self.fix}" if self.fix else "")


def ok(message: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, message)


def warning(message: str, fix: str) -> Finding:
    """It works, with a but."""
    return Finding(Level.WARNING, message, fix)


def error(message: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(Level.ERROR, message, fix)
