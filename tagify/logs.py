"""Logs on standard error: one JSON object per line, or text for a terminal.

Structured fields are passed as `extra=fields(key=value)`.
"""

import logging
import sys
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


def configure_logging(service: str, level: str, style: str) -> None:
    """Log to standard error at this level, in the style `json` or `text`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service) if style == "json" else TextFormatter(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aiohttp.access", "pymongo", "urllib3", "PIL", "watchdog", "asyncio"):
        logging.getLogger(noisy).setLevel("WARNING")


def _request_field() -> dict[str, str]:
    current_id = request_id.get()
    return {"request": current_id} if current_id else {}


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    return value
