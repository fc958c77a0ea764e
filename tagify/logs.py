"""Logs on standard error: one JSON object per line, or text for a terminal.

Structured fields are passed as `extra=fields(key=value)`.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

from tagify.printable import printable, printable_line

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the current request, added to each line that its task logs; empty outside of a request."""


def fields(**values: object) -> dict[str, Any]:
    """The `extra` argument of a log call with these fields."""
    return {"fields": values}


class LogLimit:
    """Rate limit of one kind of line: at most `lines` per `period_s` seconds.

    A storm of slow calls must not flood the log.
    """

    def __init__(
        self, lines: int = 10, period_s: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lines = lines
        self._period_s = period_s
        self._clock = clock
        self._lock = threading.Lock()
        self._start = -period_s
        self._admitted = 0
        self._left_out = 0

    def admit(self) -> int | None:
        """How many lines were left out since the last admitted one; None to leave out this one, too."""
        with self._lock:
            now = self._clock()
            if now - self._start >= self._period_s:
                self._start, self._admitted = now, 0
            if self._admitted == self._lines:
                self._left_out += 1
                return None
            self._admitted += 1
            left_out, self._left_out = self._left_out, 0
            return left_out


class JsonFormatter(logging.Formatter):
    """Time (UTC, RFC 3339), level, service, logger, message, fields, and the traceback of an exception."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            **_request_field(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        # A path may contain bytes that are not valid Unicode; they are escaped, so that the line is written.
        return orjson.dumps(_printable(line), default=str).decode()


class TextFormatter(logging.Formatter):
    """`12:00:00.123 warning api message key=value`, for a terminal."""

    def __init__(self, service: str) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        extra = "".join(
            f" {key}={value!r}" for key, value in (getattr(record, "fields", {}) | _request_field()).items()
        )
        time = f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03}"
        message = printable_line(record.getMessage() + extra)
        text = f"{time} {record.levelname.lower():7} {self._service:6} {message}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return printable(text)


class JournalFormatter(logging.Formatter):
    """The lines of another formatter, each after its priority as `<N>`, by which `journalctl -p` selects."""

    _PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for level, number in self._PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in self._inner.format(record).split("\n"))


def writes_to_journal(fd: int) -> bool:
    """Whether this descriptor is the journal's stream that systemd names in `JOURNAL_STREAM`."""
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def configure_logging(service: str, level: str, style: str) -> None:
    """Log to standard error at this level, in the style `json` or `text`; with priorities under systemd."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonFormatter(service) if style == "json" else TextFormatter(service)
    handler.setFormatter(JournalFormatter(formatter) if writes_to_journal(2) else formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aiohttp.access", "pymongo", "watchdog", "asyncio"):
        logging.getLogger(noisy).setLevel("WARNING")
    # They warn of each retry and of each odd file; ours say what comes of it.
    for noisier in ("urllib3", "PIL"):
        logging.getLogger(noisier).setLevel("ERROR")


def _request_field() -> dict[str, str]:
    current_id = request_id.get()
    return {"request": current_id} if current_id else {}


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    return value
