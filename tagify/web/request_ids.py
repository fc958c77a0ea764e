"""The id under which a request is logged, on every host that it passes."""

import re
import uuid
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that this task answers; empty outside one."""

_REQUEST_ID = re.compile(r"[\w.-]{8,64}")


def accepted(given: str) -> str:
    """The id that came with a request where it is one, else a new one."""
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
