"""Logs to standard error: one JSON object a line for machines, or text for a terminal.

Fields beyond the message are given as `extra={"fields": {...}}`; `fields(...)` writes that.
"""

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that this task answers, which every line logged for it carries; empty outside one."""


def fields(**values: object) -> dict[str, Any]:
    """The `extra` argument of a log call that carries these fields."""
    return {"fields": values}


class JsonFormatter(logging.Formatter):
    """Time (UTC, RFC 3339), level, service, message, the fields, and the trace where there is one."""

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
            **_request(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        # A path may hold bytes that are no Unicode; a log line that cannot be written helps nobody.
        return orjson.dumps(_printable(line), default=str).decode()


class TextFormatter(logging.Formatter):
    """`12:00:00.123 warning api message key=value` for people."""

    def __init__(self, service: str) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        extra = "".join(
            f" {key}={value!r}" for key, value in (getattr(record, "fields", {}) | _request()).items()
        )
        time = f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03}"
        text = f"{time} {record.levelname.lower():7} {self._service:6} {record.getMessage()}{extra}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text.encode("utf-8", "backslashreplace").decode()


def configure_logging(service: str, level: str, style: str) -> None:
    """Send all logs of this process to standard error in the given style (`json` or `text`)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service) if style == "json" else TextFormatter(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aiohttp.access", "pymongo", "urllib3", "PIL", "watchdog", "asyncio"):
        logging.getLogger(noisy).setLevel("WARNING")


def _request() -> dict[str, str]:
    name = request_id.get()
    return {"request": name} if name else {}


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    return value
