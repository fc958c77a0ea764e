"""Metrics of NGINX's caches, counted from its access log."""

from pathlib import Path
from typing import Any

import orjson

from tagify.errors import TagifyError
from tagify.metrics import Metrics


class AccessLogUnreadable(TagifyError):
    """The access log cannot be read; the message says why and what to do."""


def cache_metrics(log: Path) -> str:
    """The counters of this log in Prometheus's text format. Raises AccessLogUnreadable.

    They start at zero with each rotation of the file, which Prometheus takes for a restart.
    """
    metrics = Metrics()
    responses = metrics.counter(
        "tagify_nginx_cache_responses_total", "Responses, by cache zone and cache status.", labelled=True
    )
    sent = metrics.counter(
        "tagify_nginx_cache_sent_bytes_total", "Bytes of bodies sent, by cache zone.", labelled=True
    )
    try:
        with log.open("rb") as lines:
            for entry in map(_parse, lines):
                if entry.get("zone") and entry.get("cache"):
                    responses.add(zone=entry["zone"], cache=entry["cache"].lower())
                    sent.add(int(entry.get("bytes", 0)), zone=entry["zone"])
    except OSError as error:
        raise AccessLogUnreadable(
            f"{log}: {error.strerror}: run it as root, and check TAGIFY_NGINX_ACCESS_LOG"
        ) from error
    return metrics.exposition()[0].decode()


def _parse(line: bytes) -> dict[str, Any]:
    """The fields of a line; empty for one that is incomplete, as the last one may be."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return entry if isinstance(entry, dict) else {}
