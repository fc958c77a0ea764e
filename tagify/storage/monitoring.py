"""Times the requests to the S3 server: a histogram, a log line for each slow one, and one for each outage."""

import logging
import time
from typing import Self

from tagify import waits
from tagify.concurrency.outage_log import OutageLog
from tagify.errors import Unavailable
from tagify.logs import LogLimit, fields
from tagify.metrics import Metrics

logger = logging.getLogger(__name__)

_OPERATIONS = {
    "bucket_exists": "head_bucket",
    "_ensure_bucket": "create_bucket",
    "_check_presigned_url": "get",
    "stat_object": "head",
    "put": "put",
    "put_parts": "put",
    "_get": "get",
    "remove_object": "delete",
    "_list_page": "list",
}
"""Operations by the name of the blocking call; any other is `other`."""


def operation_name(call: object) -> str:
    """The operation of a blocking call, a value of the metric's label."""
    return _OPERATIONS.get(getattr(call, "__name__", ""), "other")


class S3Monitor:
    """The S3 operations of one process."""

    def __init__(self, metrics: Metrics, slow_s: float) -> None:
        self.slow_s = slow_s
        self.outage = OutageLog("S3")
        self._limit = LogLimit()
        self._seconds = metrics.histogram(
            "tagify_s3_operation_seconds",
            "Time of S3 operations, retries included, by operation and outcome.",
        )
        self._slow = metrics.counter(
            "tagify_s3_slow_operations_total", "S3 operations slower than TAGIFY_SLOW_S3_S."
        )

    def operation(self, name: str, item: str = "") -> "S3Operation":
        """A block that is one operation; `item` names the object in the log."""
        return S3Operation(self, name, item)

    def record(self, operation: "S3Operation", seconds: float, outcome: str) -> None:
        """Record an operation that has ended; `seconds` without its wait for a thread."""
        self._seconds.observe(seconds, operation=operation.name, outcome=outcome)
        waits.record("S3", seconds)
        waits.record("queue", operation.queue_s)
        if seconds + operation.queue_s < self.slow_s:
            return
        self._slow.add()
        # A failed operation is a part of an outage, which has a line.
        if outcome == "ok" and (left_out := self._limit.admit()) is not None:
            extra = fields(
                operation=operation.name,
                object=operation.item,
                ms=round(seconds * 1000),
                queue_ms=round(operation.queue_s * 1000),
                left_out=left_out,
            )
            logger.warning("slow S3 operation", extra=extra)


class S3Operation:
    """One operation, as a block: Unavailable raised in it is a failure of the server."""

    __slots__ = ("_monitor", "_start", "item", "name", "queue_s")

    def __init__(self, monitor: S3Monitor, name: str, item: str) -> None:
        self._monitor = monitor
        self.name = name
        self.item = item
        self.queue_s = 0.0
        """Seconds from the start of the block to the start of the call in a thread."""

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        return self

    def started(self) -> None:
        """The call starts now, in its thread."""
        self.queue_s = time.perf_counter() - self._start

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        seconds = time.perf_counter() - self._start - self.queue_s
        if isinstance(error, Unavailable):
            self._monitor.outage.failed(error)
            self._monitor.record(self, seconds, "failed")
        elif error is None or isinstance(error, Exception):
            self._monitor.outage.succeeded()
            self._monitor.record(self, seconds, "ok")
