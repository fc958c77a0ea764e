"""Server-sent events as bytes: the format `text/event-stream` of the HTML standard."""

import re

import orjson

RETRY_MS = 2000
"""Reconnection delay of clients, in milliseconds."""

_TOKEN = re.compile(r"[0-9A-F]{16,2048}")


def is_token(text: str) -> bool:
    """Whether the text has the form of our event ids."""
    return _TOKEN.fullmatch(text) is not None


def format_event(token: str, kind: str, data: object) -> bytes:
    """An event. The client sends its token back as Last-Event-ID."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (token.encode(), kind.encode(), orjson.dumps(data))


def stream_start(token: str) -> bytes:
    """The start of a stream: the reconnection delay, and the token to resume from."""
    return b"retry: %d\n" % RETRY_MS + heartbeat(token)


def heartbeat(token: str) -> bytes:
    """A heartbeat: no event, but it advances the client's Last-Event-ID."""
    return b"id: %s\n\n" % token.encode()


def reload_event(token: str) -> bytes:
    """Events were lost: the client has to fetch everything that it shows again."""
    return format_event(token, "reload", {})
