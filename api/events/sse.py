"""Events as bytes: the format `text/event-stream` of the HTML standard."""

import re

import orjson

RETRY_MS = 2000
"""A client whose connection breaks comes back after this time, in milliseconds."""

_TOKEN = re.compile(r"[0-9A-F]{16,2048}")


def is_token(text: str) -> bool:
    """Whether the text can be the id of an event of ours."""
    return _TOKEN.fullmatch(text) is not None


def event(token: str, kind: str, data: object) -> bytes:
    """An event. The token becomes what the client sends back as Last-Event-ID."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (token.encode(), kind.encode(), orjson.dumps(data))


def hello(token: str) -> bytes:
    """The start of a stream that stands at a token."""
    return b"retry: %d\n" % RETRY_MS + heartbeat(token)


def heartbeat(token: str) -> bytes:
    """A sign of life. It shows no event, but moves the place from which the client would resume."""
    return b"id: %s\n\n" % token.encode()


def reload(token: str) -> bytes:
    """Some of what happened cannot be told: what the client shows, it has to ask for again."""
    return event(token, "reload", {})
